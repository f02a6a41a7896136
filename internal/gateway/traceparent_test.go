package gateway

import "testing"

func TestTraceparent(t *testing.T) {
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for in, want := range map[string]string{
		good:                     good,
		"cc" + good[2:]:          good,
		"cc" + good[2:] + "-new": good,
		good + "-new":            "",
		"cc" + good[2:] + "new":  "",
		"ff" + good[2:]:          "",
		"":                       "",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01":   "",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01":   "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01":   "",
		"00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01":   "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-\x1b": "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0\n":  "",
		"0\x1b" + good[2:]: "",
	} {
		if got := traceparent(in); got != want {
			t.Errorf("traceparent(%q) = %q, want %q", in, got, want)
		}
	}
}
