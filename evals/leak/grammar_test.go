package leak

import (
	"context"
	"strings"
	"testing"

	"sallyport/evals/doors"
	"sallyport/evals/wire"
	"sallyport/internal/testdb"
)

func TestGrammarComposesDistinctStatements(t *testing.T) {
	all := Compose()
	texts, names, pairs, forms := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, c := range all {
		texts[c.SQL()] = true
		names[c.Name] = true
		pairs[c.Relation+"/"+c.Expression] = true
		pairs[c.Relation+"/"+c.Context] = true
		pairs[c.Expression+"/"+c.Context] = true
		forms[c.Form.Name] = true
		if strings.Contains(c.SQL(), "%T") || strings.Contains(c.SQL(), "%V") {
			t.Errorf("%s: %s", c.Name, c.SQL())
		}
	}
	if len(texts) < 5000 || len(names) != len(all) {
		t.Errorf("%d statements, %d of them distinct, %d names", len(all), len(texts), len(names))
	}
	if want := len(relations)*len(expressions) + len(relations)*len(contexts) + len(expressions)*len(contexts); len(pairs) != want {
		t.Errorf("%d of %d pairs of choices are there", len(pairs), want)
	}
	if len(forms) != len(doors.All) {
		t.Errorf("protocol forms: %v", forms)
	}
}

// openDirect makes the first twin's database on the tests' server.
func openDirect(t *testing.T) doors.Target {
	t.Helper()
	scripts := []string{"create schema if not exists public", shopSQL, hrSQL, clinicSQL, bankSQL, rowsSQL(false), objectsSQL}
	dsn := testdb.Shared(t).NewDatabase(t, scripts...)
	return doors.Target{DSN: dsn + "&search_path=shop,hr,clinic,bank,public"}
}

// With masks off the same search finds canaries, so a search that finds none says something.
func TestSearcherFindsCanariesWhereMasksAreOff(t *testing.T) {
	ask := openDirect(t)
	s := NewSearcher()
	client := &doors.Client{Target: ask}
	defer client.Close()
	reads := map[string]bool{"output": true, "whole result as row": true, "letter by letter": true, "aggregate": true, "scalar": true, "set operation": true}
	blind := map[string]bool{"translated": true, "hashed": true, "measured": true}
	missed, failed, n := 0, 0, 0
	for i, c := range Compose() {
		// Portals and cursors read parts only, and the agents' door is not there.
		if c.Form.MCP() || c.Context == "letter by letter" {
			c.Form = doors.All[0]
		}
		if i%5 != 0 || !reads[c.Context] || blind[c.Expression] || c.Form.Name == "explain" {
			continue
		}
		// Dates are found whole only, and a partitioned table has no rows of its own.
		if date := strings.HasSuffix(c.Target, ".born"); date && (c.Context == "letter by letter" || c.Expression == "halves" || c.Expression == "reversed" || c.Expression == "spaced") || c.Relation == "only" && c.Target == "hr.absences.reason" {
			continue
		}
		a := client.Run(context.Background(), c.Form, c.Statement)
		n++
		if a.Failed() {
			failed++
			t.Errorf("%s through %s: %s %s\n%s", c.Name, c.Form.Name, a.Code, a.Error, c.SQL())
		} else if _, ok := s.Answer(a, c.SQL()); !ok {
			missed++
			t.Errorf("nothing found: %s through %s\n%s\n%s", c.Name, c.Form.Name, c.SQL(), wire.Clip(a.Text()))
		}
	}
	t.Logf("%d statements, %d failed, %d missed", n, failed, missed)
}
