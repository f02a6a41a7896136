package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestAuthorizationScenariosAreToldApart(t *testing.T) {
	got := authScenarios(`Server scenarios (test against a server):
  - ping [2025-11-25]
  - auth/prm [2025-11-25]

Client scenarios (test against a client):
  - initialize [2025-11-25]
  - auth/scope-step-up [2025-11-25,2026-07-28]
  - auth/dpop [extension]

Authorization server scenarios (test against an authorization server):
  - authorization-code-grant [2025-11-25]
`)
	if !slices.Equal(got["servers"], []string{"auth/prm"}) || !slices.Equal(got["clients"], []string{"auth/scope-step-up", "auth/dpop"}) || !slices.Equal(got["authorization servers"], []string{"authorization-code-grant"}) {
		t.Errorf("%v", got)
	}
}

func TestWhatTheClientFoundIsReadAsItIs(t *testing.T) {
	got := (&suite{}).tried(map[string]string{"a": "", "b": "scope: x, not y"})
	if len(got) != 3 || got[0].Value != 1 || got[1].Value != 0 || got[1].Note == "" || got[2].Value != 1 || got[2].N != 2 {
		t.Errorf("%+v", got)
	}
}

// Without the protected front, the client would have nothing to find.
func TestProtectedFrontChallenges(t *testing.T) {
	p, err := startProtected()
	if err != nil {
		t.Fatal(err)
	}
	defer p.down()
	res, err := http.Post(p.url, "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized || !strings.Contains(res.Header.Get("WWW-Authenticate"), "resource_metadata=") {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
}
