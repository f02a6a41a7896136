package attack

import (
	"slices"
	"strings"
	"testing"

	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// TestMutationsSayTheSame: a lexical form has the tokens of its original, or the tree that they stand for.
func TestMutationsSayTheSame(t *testing.T) {
	all, err := load()
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, a := range all {
		plain := a.plain()
		for _, m := range respell(a, 0, 1) {
			for i, step := range m.Steps {
				want, err := pg_query.Fingerprint(strings.ReplaceAll(special.Replace(plain.Steps[i]), "{U}", stand))
				if err != nil {
					continue // not a statement of this server's, on purpose
				}
				got, err := pg_query.Fingerprint(strings.ReplaceAll(step, "{U}", stand))
				if err != nil && strings.Contains(step, "NULLS") {
					continue // libpg_query takes no comment between NULLS and LAST, though the server does
				}
				if err != nil {
					t.Errorf("%s/%s does not parse: %v: %.100q", m.Family, m.Name, err, step)
				} else if got != want && !strings.HasSuffix(m.Name, "/qualified") {
					t.Errorf("%s/%s says something else: %.100q", m.Family, m.Name, step)
				}
				compared++
			}
		}
	}
	if compared < 1000 {
		t.Errorf("only %d forms were compared", compared)
	}
}

// TestAttacksInARowCoverAllPositions: what is left out for one attack is sent for another.
func TestAttacksInARowCoverAllPositions(t *testing.T) {
	var attacks []Attack
	for n := range onePlace {
		attacks = append(attacks, Attack{Family: "f", Name: strings.Repeat("x", n+1), Kind: 'e', Steps: []string{"touch('x')"}})
	}
	seen := map[string]bool{}
	for _, m := range mutations(attacks, 0, false) {
		if _, at, ok := strings.Cut(m.Name, "/in-"); ok {
			at, _, _ = strings.Cut(at, "/")
			seen[at] = true
		}
	}
	for _, p := range slices.Concat(expressions, calledFrom) {
		if !seen[p.name] {
			t.Errorf("no attack was sent in position %s", p.name)
		}
	}
}

func TestCanaryIsSeenInItsForms(t *testing.T) {
	for _, s := range []string{
		`D "CANARY7F.mail1@x.example"`, `D "\\x43414e415259374600"`, `D "elpmaxe.x@1liam.F7YRANAC"`,
		`D "Q0FOQVJZN0YubWFpbDE="`, `D "eENBTkFSWTdGLm1haWwx"`, `D "eHhDQU5BUlk3Ri5tYWlsMQ=="`, `E {Message:invalid input: "canary7f.mail"}`,
	} {
		if !showsCanary([]string{"T", s}) {
			t.Errorf("not seen in %s", s)
		}
	}
	if showsCanary([]string{`D "***"`, `D "canary.txt"`}) {
		t.Error("seen where it is not")
	}
}
