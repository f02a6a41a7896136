package mask_test

import (
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/testdb"
)

// TestRowsBehindDomainsAreLabelled: a column may hold rows of a labelled relation as they are, as a domain over them, as
// arrays of either and as a domain over arrays.
func TestRowsBehindDomainsAreLabelled(t *testing.T) {
	dsn := testdb.Shared(t).NewDatabase(t, `CREATE TABLE people (id int, email text);
		CREATE DOMAIN person AS people; CREATE DOMAIN someone AS person; CREATE DOMAIN crowd AS people[]; CREATE DOMAIN number AS int;
		CREATE TABLE holder (id number, p people, d person, dd someone, a person[], c crowd, plain text);
		INSERT INTO holder VALUES (1, (1, 'ada@example.org'), (1, 'ada@example.org'), (1, 'ada@example.org'), array[row(1, 'ada@example.org')::person], array[row(1, 'ada@example.org')::people], 'x')`)
	w := newWorld(t, dsn, []access.LabelRule{{Label: "pii.email", Columns: []string{"people.email"}}}, nil)
	labelled := w.labels.Columns(public("holder"))
	for column, want := range map[string]bool{"id": false, "p": true, "d": true, "dd": true, "a": true, "c": true, "plain": false} {
		if (len(labelled[column]) > 0) != want || w.labels.Derived(public("holder"), column) != want {
			t.Errorf("%s has labels %v", column, labelled[column])
		}
	}
	for _, sql := range []string{"SELECT * FROM holder", "SELECT (d).email, (dd).email, (a[1]).email, (c[1]).email FROM holder", "SELECT to_jsonb(h) FROM holder h", "SELECT d::text, a::text, c::text FROM holder"} {
		c, _, err := w.compile(sql)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		if got := answer(t, dial(t, dsn), c.SQL); strings.HasPrefix(got, "ERROR") || strings.Contains(got, "ada@") {
			t.Errorf("%s shows %s", sql, got)
		}
	}
}
