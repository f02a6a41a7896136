package main

import (
	"slices"
	"testing"

	"sallyport/internal/config"
	"sallyport/internal/notify"
)

// What channels tell of is what the configuration lets be named.
func TestEventsOfChannelsCanBeNamed(t *testing.T) {
	var told []string
	for _, e := range notify.Events() {
		told = append(told, string(e))
	}
	slices.Sort(told)
	if named := slices.Sorted(slices.Values(config.NotifyEvents)); !slices.Equal(named, told) {
		t.Errorf("`events` takes %q, channels tell of %q", named, told)
	}
}
