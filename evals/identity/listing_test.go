package identity

import (
	"strings"
	"testing"
)

func TestListing(t *testing.T) {
	done := []outcome{
		{attack{way: wayAgents, name: "alg none"}, "initialize: transport error: authorization required", ""},
		{attack{way: wayCommand, name: "alg none"}, `403 {"error":"the identity token is not valid","hint":"x"}`, ""},
		{attack{way: wayAgents, name: "no | audience"}, "authorization required", ""},
		{attack{way: wayCommand, name: "no | audience"}, "403 the identity token is not valid", ""},
		{attack{way: wayWeb, name: "no state"}, "200 at 127.0.0.1:4711", canaryWeb},
	}
	got := listed(done)
	for _, want := range []string{"| web log-in | 1 | 1 |", "| agents' door | 2 | 0 |", "**Accepted:**\n\n- no state at web log-in: 200 at HOST\n",
		"- agents' door (authorization required), api credential (403 the identity token is not valid): alg none; no   audience\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(listed(done[:4]), "Accepted:") {
		t.Error("nothing was accepted")
	}
}
