package main

import (
	"slices"
	"testing"

	"sallyport/audit/export"
	"sallyport/internal/config"
)

// The configuration knows the fields that the exporters can leave out, and may not ask them.
func TestExportFieldsAreThoseOfTheExporters(t *testing.T) {
	if got := export.Fields(); !slices.Equal(got, config.ExportFields) {
		t.Errorf("the exporters leave out %v, the configuration takes %v", got, config.ExportFields)
	}
}
