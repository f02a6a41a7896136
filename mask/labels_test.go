package mask_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/access"
	"sallyport/internal/testdb"
	"sallyport/mask"
)

const labelSchema = `
CREATE TABLE people (id int, email text, "Odd.Name" text, plain text, shout text GENERATED ALWAYS AS (upper(email)) STORED, twice int GENERATED ALWAYS AS (id * 2) STORED);
COMMENT ON COLUMN people."Odd.Name" IS 'who knows; @label pii.odd. And @label pii.more';
CREATE TABLE part (id int, email text) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (id);
CREATE TABLE part_1_1 PARTITION OF part_1 FOR VALUES FROM (0) TO (5);
CREATE TABLE base (a int); CREATE TABLE derived (secret text) INHERITS (base); CREATE TABLE leaf () INHERITS (derived);
CREATE TABLE holder (id int, who people, many people[]);
CREATE FUNCTION shady(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE EXTENSION citext;
CREATE VIEW v_plain AS SELECT id, email AS mail, plain FROM people;
CREATE VIEW v_expr AS SELECT id, lower(email) AS mail, coalesce(plain, 'x') AS plain FROM people;
CREATE VIEW v_over AS SELECT v.mail AS m1, e.mail AS m2 FROM v_plain v JOIN v_expr e ON v.id = e.id;
CREATE VIEW v_where AS SELECT id FROM people WHERE email IS NOT NULL;
CREATE VIEW v_join AS SELECT p.id FROM people p JOIN part q ON p.email = q.email;
CREATE VIEW v_group AS SELECT email, count(*) FROM people GROUP BY email;
CREATE VIEW v_distinct AS SELECT DISTINCT email FROM people;
CREATE VIEW v_union AS SELECT email FROM people UNION ALL SELECT plain FROM people;
CREATE VIEW v_union_distinct AS SELECT email FROM people UNION SELECT plain FROM people;
CREATE VIEW v_top AS SELECT id FROM people ORDER BY email LIMIT 1;
CREATE VIEW v_count AS SELECT count(*) FROM v_where;
CREATE VIEW v_shady AS SELECT shady(plain) AS x FROM people;
CREATE VIEW v_citext AS SELECT id FROM people WHERE plain::citext = 'x'::citext;
CREATE VIEW v_agg AS SELECT max(email) AS top, count(*) AS n FROM people;
CREATE VIEW v_row AS SELECT p AS who, to_jsonb(p) AS doc FROM people p;
CREATE VIEW v_sub AS SELECT plain, (SELECT q.email FROM part q WHERE q.id = p.id) AS other FROM people p;
CREATE MATERIALIZED VIEW m_plain AS SELECT email FROM people;
CREATE VIEW v_sizes AS SELECT relname, reltuples > 5 AS big FROM pg_class;
CREATE VIEW v_clean AS SELECT id, plain FROM people WHERE plain > 'a';`

// TestLabels resolves the labels of a database and shows all of them, with the views that are refused.
func TestLabels(t *testing.T) {
	dsn := testdb.Shared(t).NewDatabase(t, labelSchema)
	w := newWorld(t, dsn, []access.LabelRule{
		{Label: "pii.email", Columns: []string{"public.people.email", "*.part_1.EMAIL"}, Source: "c.yaml:3"},
		{Label: "pii.secret", Columns: []string{"derived.se?ret"}, Source: "c.yaml:4"},
		{Label: "pii.other", Columns: []string{"people.plain"}, Connections: []string{"elsewhere"}},
	}, nil)
	var got strings.Builder
	for _, l := range w.labels.All() {
		fmt.Fprintf(&got, "%s.%s %v derived=%v %s\n", l.Column.Relation, l.Column.Column, l.Labels, l.Derived, l.Why)
	}
	want := `public.derived.secret [pii.secret] derived=false c.yaml:4 derived.se?ret
public.holder.many [pii.email pii.more pii.odd] derived=true *
public.holder.who [pii.email pii.more pii.odd] derived=true *
public.leaf.secret [pii.secret] derived=false shared with public.derived
public.m_plain.email [pii.email] derived=false from public.people.email
public.part.email [pii.email] derived=false shared with public.part_1
public.part_1.email [pii.email] derived=false c.yaml:3 *.part_1.EMAIL
public.part_1_1.email [pii.email] derived=false shared with public.part_1
public.people.Odd.Name [pii.more pii.odd] derived=false *
public.people.email [pii.email] derived=false c.yaml:3 public.people.email
public.people.shout [pii.email] derived=true generated from email
public.v_agg.top [pii.email] derived=true derived from public.people.email
public.v_distinct.email [pii.email] derived=false from public.people.email
public.v_expr.mail [pii.email] derived=true derived from public.people.email
public.v_group.email [pii.email] derived=false from public.people.email
public.v_over.m1 [pii.email] derived=false from public.v_plain.mail
public.v_over.m2 [pii.email] derived=true derived from public.v_expr.mail
public.v_plain.mail [pii.email] derived=false from public.people.email
public.v_row.doc [pii.email pii.more pii.odd] derived=true *
public.v_row.who [pii.email pii.more pii.odd] derived=true *
public.v_sub.other [pii.email] derived=true derived from public.part.email
public.v_union.email [pii.email] derived=true derived from public.people.email
public.v_union_distinct.email [pii.email] derived=true derived from public.people.email
`
	lines := strings.Split(got.String(), "\n")
	for i, line := range strings.Split(want, "\n") { // * ends the part that has to be the same
		if head, ok := strings.CutSuffix(line, "*"); ok && !strings.HasSuffix(line, ".*") && i < len(lines) && strings.HasPrefix(lines[i], head) {
			lines[i] = line
		}
	}
	if d := cmp.Diff(want, strings.Join(lines, "\n")); d != "" {
		t.Errorf("labels differ (-want +got):\n%s", d)
	}
	for name, why := range map[string]string{
		"v_where": "depends on the labelled column", "v_join": "depends on the labelled column", "v_group": "depends on the labelled column",
		"v_distinct": "depends on the labelled column", "v_union_distinct": "depends on the labelled column", "v_top": "depends on the labelled column",
		"v_count": "it reads public.v_where", "v_shady": "it calls public.shady", "v_sizes": "row or page counts",
		"v_plain": "", "v_expr": "", "v_over": "", "v_union": "", "v_agg": "", "v_row": "", "v_sub": "", "m_plain": "", "v_clean": "", "v_citext": "", "people": "",
	} {
		if got := w.labels.Refused(access.Name{Schema: "public", Name: name}); (why == "") != (got == "") || !strings.Contains(got, why) {
			t.Errorf("%s is refused because %q, want %q", name, got, why)
		}
	}
}

// TestLabelProblems says what in the rules does nothing, and redacts what cannot be analysed.
func TestLabelProblems(t *testing.T) {
	table := func(name string, cols ...string) *access.Relation {
		r := &access.Relation{Name: access.Name{Schema: "s", Name: name}, Kind: access.Table}
		for _, c := range cols {
			r.Columns = append(r.Columns, access.Column{Name: c, Type: "integer", TypeOID: 23})
		}
		return r
	}
	view := table("v", "a")
	view.Kind, view.Definition = access.View, "SELECT t.a FROM s.t"
	broken := table("broken", "a")
	broken.Kind, broken.Definition = access.View, "SELECT FROM WHERE"
	gen := table("gen", "a", "b")
	gen.Columns[1].Generated, gen.Columns[1].Default = true, "not ( an expression"
	cat := &access.Catalog{Relations: map[access.Name]*access.Relation{}}
	for _, r := range []*access.Relation{table("t", "a", "b"), view, broken, gen} {
		cat.Relations[r.Name] = r
	}
	labels, problems := mask.Resolve(cat, "c", []access.LabelRule{
		{Label: "x", Columns: []string{"s.nope.*", "a.b.c.d", "", "s..a"}, Source: "f:1"}, {Label: "y", Columns: []string{"s.t.a", "gen.a"}, Source: "f:2"},
	}, nil, func(*access.Relation) ([]access.Output, []access.ColumnID, error) {
		return nil, nil, fmt.Errorf("too hard")
	})
	text := fmt.Sprint(problems)
	for _, want := range []string{`"s.nope.*" matches no column`, `"a.b.c.d" cannot match`, `"" cannot match`, `"s..a" cannot match`, "may not use view s.v: its definition cannot be analysed (too hard)", "may not use view s.broken: its definition cannot be parsed"} {
		if !strings.Contains(text, want) {
			t.Errorf("no problem %q in %s", want, text)
		}
	}
	for _, name := range []string{"v", "broken"} {
		if labels.Refused(access.Name{Schema: "s", Name: name}) == "" {
			t.Errorf("%s is not refused", name)
		}
	}
	if !labels.Derived(access.Name{Schema: "s", Name: "gen"}, "b") {
		t.Error("a generated column that cannot be analysed is not derived")
	}
	masks, err := mask.NewMasks([]access.Mask{{Label: "y", Transform: "partial", Style: "email", Source: "f:9"}, {Label: "unused", Transform: "null", Source: "f:10"}})
	if err != nil {
		t.Fatal(err)
	}
	text = fmt.Sprint(masks.Misfits(cat, labels), masks.Unused([]*mask.Labels{labels}))
	for _, want := range []string{`f:9: mask "partial email" of label y cannot be applied to s.t.a (integer): it is redacted`, "f:10: no column carries label unused"} {
		if !strings.Contains(text, want) {
			t.Errorf("no problem %q in %s", want, text)
		}
	}
	masks, _ = mask.NewMasks([]access.Mask{{Label: "x", Transform: "partial", Style: "email"}, {Label: "y", Transform: "null"}})
	labels, _ = mask.Resolve(cat, "c", []access.LabelRule{{Label: "x", Columns: []string{"s.t.a"}}, {Label: "y", Columns: []string{"s.t.a"}}}, nil,
		func(*access.Relation) ([]access.Output, []access.ColumnID, error) { return nil, nil, nil })
	if got := masks.Misfits(cat, labels); got != nil {
		t.Errorf("a stricter mask fits, but %v", got)
	}
}

// TestNewMasks refuses masks that are wrong in themselves, and takes the strictest of several.
func TestNewMasks(t *testing.T) {
	for _, m := range []access.Mask{
		{Label: "x", Transform: "hide"}, {Label: "", Transform: "redact"}, {Label: "x", Transform: "partial"}, {Label: "x", Transform: "partial", Style: "iban"},
		{Label: "x", Transform: "generalise"}, {Label: "x", Transform: "generalise", Style: "week"}, {Label: "x", Transform: "generalise", Style: "year", Bucket: "1"},
		{Label: "x", Transform: "generalise", Bucket: "0"}, {Label: "x", Transform: "generalise", Bucket: "1; DROP"}, {Label: "x", Transform: "generalise", Bucket: "-1"},
		{Label: "x", Transform: "generalise", Bucket: "1e3"}, {Label: "x", Transform: "generalise", Bucket: "."}, {Label: "x", Transform: "redact", Style: "email"},
		{Label: "x", Transform: "token", Bucket: "3"},
	} {
		m.Source = "f:1"
		if _, err := mask.NewMasks([]access.Mask{m}); err == nil || !strings.Contains(err.Error(), "f:1") {
			t.Errorf("%+v: %v", m, err)
		}
	}
	if _, err := mask.NewMasks([]access.Mask{{Label: "x", Transform: "null"}, {Label: "x", Transform: "redact"}}); err == nil {
		t.Error("two masks for one label")
	}
	masks, err := mask.NewMasks([]access.Mask{
		{Label: "r", Transform: "redact"}, {Label: "n", Transform: "null"}, {Label: "t", Transform: "token"}, {Label: "g", Transform: "generalise", Bucket: "2"},
		{Label: "e", Transform: "partial", Style: "email"}, {Label: "p", Transform: "partial", Style: "phone"}, {Label: "p2", Transform: "partial", Style: "phone"},
		{Label: "z", Transform: "generalize", Bucket: "3"},
	})
	if err != nil {
		t.Fatal(err)
	}
	text := &access.Column{Type: "text", TypeOID: 25}
	for labels, want := range map[string]string{
		"r": "redact", "n": "null", "t": "token", "g": "generalise 2", "e": "partial email", "unknown": "redact", "": "redact", "p p2": "partial phone", "z": "generalise 3",
		"e p": "redact", "e t": "token", "t e": "token", "g t": "token", "n t": "null", "e n r": "redact", "e unknown": "redact", "g p": "generalise 2",
	} {
		var ls []access.Label
		for _, l := range strings.Fields(labels) {
			ls = append(ls, access.Label(l))
		}
		if got := masks.For(text, nil, ls, false); got.String() != want {
			t.Errorf("%q: %s, want %s", labels, got, want)
		}
		if got := masks.For(text, nil, ls, true); got.Kind != mask.Redact {
			t.Errorf("%q derived: %s", labels, got)
		}
	}
	if got := (*mask.Masks)(nil).For(text, nil, []access.Label{"t"}, false); got.Kind != mask.Redact {
		t.Errorf("no masks: %s", got)
	}
}
