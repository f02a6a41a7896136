package config

import "testing"

func TestNearestIsANearMiss(t *testing.T) {
	known := []string{"agents", "engineers", "secret_file", "dear"}
	for word, want := range map[string]string{
		"enginers": "engineers", "Engineers": "engineers", "agent": "agents", "secretfile": "secret_file", "ages": "agents",
		"auditors": "", "dba": "", "der": "dear", "support": "", "": "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
