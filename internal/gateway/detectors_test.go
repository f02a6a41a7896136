package gateway

import (
	"context"
	"strings"
	"testing"
)

func TestPhoneRegionsOfTheConfiguration(t *testing.T) {
	w := newWorld(t)
	const sql = "select '07911123456'::text as note"
	if got := w.value(w.login("agent"), sql); got != "07911123456" {
		t.Errorf("without a region: %s", got)
	}
	w.gw.Close()
	c := w.config()
	c.PhoneRegions = []string{"FR", "GB"}
	gw, err := Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	w.gw = gw
	if got := w.value(w.login("agent"), sql); got != "[phone]" {
		t.Errorf("in GB: %s", got)
	}
	c.DataDir, c.PhoneRegions = t.TempDir(), []string{"XX"}
	if _, err := Open(context.Background(), c); err == nil || !strings.Contains(err.Error(), `"XX"`) {
		t.Errorf("no such region: %v", err)
	}
}
