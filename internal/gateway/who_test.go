package gateway

import (
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/approval"
)

// alike are principals of whom no two are the same to a handle, a plan or a request.
func alike() map[string]access.Principal {
	idp := access.Proof{Issuer: "https://idp.example"}
	return map[string]access.Principal{
		"local":                  {Name: "ada", Kind: access.Human},
		"of_a_provider":          {Name: "ada", Kind: access.Human, Proof: idp},
		"of_another_provider":    {Name: "ada", Kind: access.Human, Proof: access.Proof{Issuer: "https://other.example"}},
		"through_an_agent":       {Name: "ada", Kind: access.Human, Actor: "bot", Proof: idp},
		"through_another_agent":  {Name: "ada", Kind: access.Human, Actor: "mail", Proof: idp},
		"through_a_chain":        {Name: "ada", Kind: access.Human, Actor: "bot", Behind: []string{"planner"}, Proof: idp},
		"through_another_chain":  {Name: "ada", Kind: access.Human, Actor: "bot", Behind: []string{"planner", "mail"}, Proof: idp},
		"chain_in_one_name":      {Name: "ada", Kind: access.Human, Actor: "bot\x00planner", Proof: idp},
		"name_that_looks_longer": {Name: "ada\x00bot", Kind: access.Human, Proof: idp},
		"agent_of_that_name":     {Name: "ada", Kind: access.Agent, Proof: idp},
	}
}

func TestHandlesAreOfOneActingForOne(t *testing.T) {
	owners, requests := map[string]string{}, map[string]*approval.Request{}
	for name, p := range alike() {
		if old, ok := owners[ownerOf(p)]; ok {
			t.Errorf("%s owns what %s does", name, old)
		}
		owners[ownerOf(p)] = name
		requests[name] = &approval.Request{Binding: approval.Binding{Principal: p.Name, Issuer: p.Proof.Issuer, Actors: p.Chain()}}
	}
	for name, p := range alike() {
		for other, r := range requests {
			if got := ownRequest(p, r); got != (name == other) && p.Kind == access.Human && other != "agent_of_that_name" {
				t.Errorf("%s owns the request of %s: %v", name, other, got)
			}
		}
	}
	r := requests["through_another_chain"]
	for _, n := range []string{"ada", "bot", "planner", "mail"} {
		if !r.Excludes(n) {
			t.Errorf("%s, who is behind the request, may decide about it", n)
		}
	}
}

func TestPlansAreSharedByThoseWhoAreJudgedAlike(t *testing.T) {
	base := access.Principal{Name: "ada", Kind: access.Human, Groups: []string{"a", "b"}, Attributes: map[string]string{"tenant": "7"},
		Proof: access.Proof{Issuer: "https://idp.example", ACR: "1", Scoped: true, Scopes: []string{"r"}, Grants: map[string][]access.Action{"r": {access.ActRead}}}}
	same := base
	same.Proof.Token, same.Proof.Client, same.Proof.Session = "another", "another", "another"
	if judgedAs(base) != judgedAs(same) {
		t.Error("a token renewed makes all plans anew")
	}
	seen := map[string]string{judgedAs(base): "base"}
	for name, edit := range map[string]func(*access.Principal){
		"groups":     func(p *access.Principal) { p.Groups = []string{"a"} },
		"one_group":  func(p *access.Principal) { p.Groups = []string{"a\x00b"} },
		"attributes": func(p *access.Principal) { p.Attributes = map[string]string{"tenant": "8"} },
		"acr":        func(p *access.Principal) { p.Proof.ACR = "2" },
		"issuer":     func(p *access.Principal) { p.Proof.Issuer = "https://other.example" },
		"scopes":     func(p *access.Principal) { p.Proof.Scopes = []string{"r", "w"} },
		"meaning": func(p *access.Principal) {
			p.Proof.Grants = map[string][]access.Action{"r": {access.ActRead, access.ActWrite}}
		},
		"no_limit": func(p *access.Principal) { p.Proof.Scoped = false },
		"actor":    func(p *access.Principal) { p.Actor = "bot" },
		"behind":   func(p *access.Principal) { p.Actor, p.Behind = "bot", []string{"x"} },
	} {
		p := base
		edit(&p)
		if old, ok := seen[judgedAs(p)]; ok {
			t.Errorf("%s: judged as %s", name, old)
		}
		seen[judgedAs(p)] = name
	}
}
