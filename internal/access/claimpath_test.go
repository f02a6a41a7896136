package access

import (
	"strings"
	"testing"
)

func TestClaimPath(t *testing.T) {
	for in, want := range map[string]string{
		"sub": "sub", "realm_access.roles": "realm_access|roles", `"https://a.b/groups"`: "https://a.b/groups",
		`resource_access."my.client".roles`: "resource_access|my.client|roles", "cognito:groups": "", "": "", ".": "", "a.": "", "a..b": "", `"a`: "", `"a"b`: "", `""`: "", "a b": "",
		`"cognito:groups"`: "cognito:groups",
	} {
		p, err := ParseClaimPath(in)
		if got := strings.Join(p, "|"); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for path, want := range map[string][2]bool{"a.b": {true, true}, "a.c": {false, true}, "n": {false, true}, "a.b.c": {true, false}} {
		p, _ := ParseClaimPath(path)
		if _, present, ok := p.In(map[string]any{"a": map[string]any{"b": "x"}, "n": nil}); present != want[0] || ok != want[1] {
			t.Errorf("%s: %v, %v", path, present, ok)
		}
	}
}
