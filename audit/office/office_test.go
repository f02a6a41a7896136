package office

import (
	"errors"
	"strings"
	"testing"
	"time"

	"sallyport/audit"
	"sallyport/audit/verify"
	"sallyport/internal/access"
)

// people are known by their password, which is their name twice.
func people(c access.Credentials) (access.Principal, error) {
	all := map[string]access.Principal{
		"ada": {Name: "ada", Kind: access.Human, Groups: []string{"dpo"}},
		"bob": {Name: "bob", Kind: access.Human, Groups: []string{"dpo", "x"}},
		"eve": {Name: "eve", Kind: access.Human, Groups: []string{"x"}},
		"bot": {Name: "bot", Kind: access.Agent, Groups: []string{"dpo"}},
	}
	switch c := c.(type) {
	case access.Password:
		if p, ok := all[c.User]; ok && c.Secret == c.User+c.User {
			return p, nil
		}
	case access.Bearer:
		if p, ok := all[strings.TrimPrefix(string(c), "token-")]; ok {
			return p, nil
		}
	}
	return access.Principal{}, &access.Error{Kind: access.Denied, Code: "28P01", Message: "no"}
}

func open(t *testing.T, rules Rules) (*Office, *audit.Log, string) {
	t.Helper()
	dir := t.TempDir()
	l, err := audit.Open(dir, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for _, sql := range []string{"select 'jane@example.org'", "select 1"} {
		if _, err := l.Append(&access.Record{Time: time.Now().Add(-time.Hour), Kind: access.RecordRefused, SQL: sql}); err != nil {
			t.Fatal(err)
		}
	}
	return New(l, rules, people), l, dir
}

func denied(t *testing.T, err error, kind access.Kind) {
	t.Helper()
	var e *access.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Hint == "" && e.Message != "no" {
		t.Errorf("%v, want a refusal of kind %v with a hint", err, kind)
	}
}

var jane = access.Scope{Person: "jane@example.org"}

// Two people have to agree, who show who they are and are of the groups that may; agents never do.
func TestTwoHaveToAgree(t *testing.T) {
	o, _, dir := open(t, Rules{Groups: []string{"dpo"}, DualControl: true})
	ask := func(by, password, token string) Order {
		return Order{Kind: Propose, Scope: jane, By: by, Password: password, Token: token, Why: "request 7"}
	}
	for name, in := range map[string]Order{
		"nobody":         ask("", "", ""),
		"without_proof":  ask("ada", "", ""),
		"wrong_password": ask("ada", "bobbob", ""),
		"another_name":   ask("ada", "", "token-bob"),
		"another_group":  ask("eve", "eveeve", ""),
		"agent":          ask("", "", "token-bot"),
		"alone":          {Kind: Erase, Scope: jane, By: "ada", Password: "adaada", Why: "x"},
		"hold":           {Kind: Hold, Scope: jane, By: "eve", Password: "eveeve", Why: "x"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := o.Do(in)
			denied(t, err, access.Denied)
		})
	}
	refusals := 0
	if err := audit.Read(dir, func(rec *access.Record) error {
		if strings.HasPrefix(rec.Error, "order to ") {
			refusals++
		}
		if strings.Contains(rec.Error, "jane") {
			t.Error("a refusal names the person")
		}
		return nil
	}); err != nil || refusals != 8 {
		t.Errorf("%d refusals on record, %v", refusals, err)
	}
	for _, kind := range []Kind{Hold, Lift, Due} { // trying asks nobody who they are, so it must not do anything
		_, err := o.Do(Order{Kind: kind, Scope: jane, Dry: true})
		denied(t, err, access.Unsupported)
	}
	if a, err := o.Do(Order{Kind: Propose, Scope: jane, Dry: true}); err != nil || a.Proposal != nil || a.Erased[0].Records != 1 {
		t.Errorf("%+v, %v", a, err)
	}
	in := ask("ada", "adaada", "")
	in.Why = " "
	_, err := o.Do(in)
	denied(t, err, access.Invalid)

	a, err := o.Do(ask("ada", "adaada", ""))
	if err != nil || a.Proposal == nil || a.Proposal.Records != 1 || a.Certificate != nil {
		t.Fatalf("%+v, %v", a, err)
	}
	confirm := Order{Kind: Confirm, ID: a.Proposal.ID, By: "ada", Password: "adaada"}
	_, err = o.Do(confirm)
	denied(t, err, access.Denied)
	if look, err := o.Do(Order{Kind: Confirm, ID: a.Proposal.ID, Dry: true}); err != nil || look.Erased[0].Records != 2 || look.Erased[0].ID != "" || look.Proposal.By != "ada" {
		t.Errorf("%+v, %v", look, err)
	}
	confirm.By, confirm.Password, confirm.Token = "", "", "token-bob"
	done, err := o.Do(confirm)
	if err != nil || done.Erased[0].Records != 2 || done.Erased[0].ID != a.Proposal.ID {
		t.Fatalf("%+v, %v", done, err)
	}
	if r, err := (verify.Trust{}).Certificate(done.Certificate); err != nil || !r.Good() || !strings.Contains(strings.Join(r.Proven, " "), "bob, proposed by ada,") {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := (verify.Trust{}).Dir(dir); err != nil || !r.Good() {
		t.Errorf("%+v, %v", r, err)
	}
}

// Without groups names are taken as they are given, and two cannot be told apart.
func TestWithoutGroups(t *testing.T) {
	o, _, _ := open(t, Rules{})
	_, err := o.Do(Order{Kind: Erase, Scope: jane, Why: "x"})
	denied(t, err, access.Invalid)
	h, err := o.Do(Order{Kind: Hold, Scope: jane, By: "counsel", Why: "case"})
	if err != nil {
		t.Fatal(err)
	}
	if a, err := o.Do(Order{Kind: Erase, Scope: jane, By: "anybody", Why: "x"}); err != nil || a.Erased[0].Records != 0 || a.Erased[0].Held[0].Records != 2 || a.Certificate != nil {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := o.Do(Order{Kind: Lift, ID: h.Hold.ID, By: "counsel", Why: "settled"}); err != nil {
		t.Fatal(err)
	}
	if a, err := o.Do(Order{Kind: Erase, Scope: jane, By: "anybody", Why: "x"}); err != nil || a.Erased[0].Records != 2 || len(a.Certificate) == 0 {
		t.Errorf("%+v, %v", a, err)
	}
	_, err = o.Do(Order{Kind: "burn", By: "x", Why: "x"})
	denied(t, err, access.Invalid)
	_, err = o.Do(Order{Kind: Due})
	denied(t, err, access.Invalid)

	o, _, _ = open(t, Rules{DualControl: true})
	_, err = o.Do(Order{Kind: Propose, Scope: jane, By: "anybody", Why: "x"})
	denied(t, err, access.Invalid)
}

func TestWhatIsDueIsErasedByAnybody(t *testing.T) {
	o, _, _ := open(t, Rules{Groups: []string{"dpo"}, DualControl: true, Retention: audit.Retention{Content: time.Minute}})
	if a, err := o.Do(Order{Kind: Due}); err != nil || len(a.Erased) != 1 || a.Erased[0].Records != 2 {
		t.Errorf("%+v, %v", a, err)
	}
	if all, err := o.Retain(time.Now(), nil); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}
