package wire

import (
	"strings"
	"testing"
)

func TestPartingNamesTheFirstDifference(t *testing.T) {
	long := strings.Repeat("x", 200)
	for _, c := range []struct {
		name, want string
		a, b       []string
	}{
		{"same", "", []string{"T", "D 1"}, []string{"T", "D 1"}},
		{"changed", "message 2: D 1 <> D 2", []string{"T", "D 1", "Z"}, []string{"T", "D 2", "Y"}},
		{"missing", "message 2: D 1 <> ", []string{"T", "D 1"}, []string{"T"}},
		{"far into a line", "message 1: " + long[:60] + "a <> " + long[:60] + "b", []string{long + "a"}, []string{long + "b"}},
		{"shortened", "message 1: " + long[:160] + "… <> y", []string{long}, []string{"y"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Parting(c.a, c.b); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
