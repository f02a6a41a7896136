package sqlguard_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"sallyport/internal/access"
	"sallyport/sqlguard"
	"sallyport/sqlguard/policy"
	"sallyport/sqlguard/postgres"
	"sallyport/sqlguard/registry"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func public(name string) access.Name { return access.Name{Schema: "public", Name: name} }

func table(name string, columns ...string) *access.Relation {
	r := &access.Relation{Name: public(name), Kind: access.Table}
	for i, c := range columns {
		n, typ, _ := strings.Cut(c, " ")
		r.Columns = append(r.Columns, access.Column{Num: int16(i + 1), Name: n, Type: typ, TypeOID: map[string]uint32{"integer": 23, "text": 25}[typ]})
	}
	return r
}

// shop is a catalog with one of each thing that a decision looks at.
func shop() *access.Catalog {
	customers := table("customers", "id integer", "email text", "phone text", "region text")
	customers.Constraints = []access.Constraint{{Name: "customers_pkey", Type: 'p', Columns: []string{"id"}},
		{Name: "customers_email_key", Type: 'u', Columns: []string{"email"}},
		{Name: "customers_phone_region_key", Type: 'u', Columns: []string{"phone", "region"}}}
	computed := table("computed", "id integer", "secret text", "k integer", "g integer")
	computed.Columns[3].Generated = true
	audited := table("audited", "id integer", "note text")
	audited.Triggers = []access.Name{{Schema: "pg_catalog", Name: "tsvector_update_trigger"}, public("audit")}
	ruled := table("ruled", "id integer")
	ruled.Rules = true
	events := table("events", "id integer")
	events.Kind = access.Partitioned
	part := table("events_2026", "id integer")
	part.Parents, part.Triggers = []access.Name{public("events")}, []access.Name{public("audit")}
	invites := table("invites", "id integer", "who text")
	logged := table("logged", "id integer", "at integer")
	invites.Constraints = []access.Constraint{{Name: "invites_who_fkey", Type: 'f', Columns: []string{"who"}, References: public("customers"), Keys: []string{"phone"}}}
	logged.Calls = []access.Call{{Function: public("leak"), By: access.ByDefault, Name: "at"}}
	customers.Referenced = []access.Reference{{Name: "invites_who_fkey", By: public("invites"), Columns: []string{"who"}, Keys: []string{"phone"}, OnDelete: 'a', OnUpdate: 'a'}}
	parents, kids := table("parents", "id integer"), table("kids", "id integer")
	kids.Name.Schema = "hr"
	parents.Referenced = []access.Reference{{Name: "kids_fkey", By: kids.Name, Columns: []string{"id"}, Keys: []string{"id"}, OnDelete: 'c', OnUpdate: 'n'}}
	people := table("people", "id integer", "email text")
	people.Kind = access.View
	remote := table("remote", "id integer")
	remote.Kind = access.ForeignTable
	rich := table("rich", "id integer")
	rich.Kind = access.View
	seq := table("orders_id_seq", "last_value integer")
	seq.Kind = access.Sequence
	cat := &access.Catalog{Version: "1", Connection: "shop", Database: "shop", ServerVersion: 150018,
		Schemas:   map[string]bool{"public": true, "hr": true, "pg_catalog": true, "information_schema": true},
		Relations: map[access.Name]*access.Relation{}, Types: map[access.Name]*access.Type{}, TypeByOID: map[uint32]*access.Type{},
		Functions: map[access.Name][]*access.Function{
			public("total"): {{Name: public("total"), Args: "integer", Kind: 'f'}}, public("leak"): {{Name: public("leak"), Args: "text", Kind: 'f'}},
			public("crosstab"): {{Name: public("crosstab"), Args: "text", Kind: 'f', ReturnsSet: true}},
			public("dblink"):   {{Name: public("dblink"), Args: "text", Kind: 'f', ReturnsSet: true}},
			public("proc"):     {{Name: public("proc"), Args: "", Kind: 'p'}},
		},
		Operators: map[string][]*access.Operator{"<%>": {{Name: public("<%>"), Function: public("leak")}}},
	}
	for _, r := range []*access.Relation{customers, table("orders", "id integer", "customer_id integer", "status text"), table("salaries", "id integer", "amount integer"),
		audited, ruled, events, part, people, remote, rich, seq, computed, invites, logged, parents, kids} {
		cat.Relations[r.Name] = r
	}
	for name, columns := range map[string]string{"pg_class": "oid relname relnamespace relkind", "pg_stats": "tablename most_common_vals",
		"pg_stat_activity": "pid query", "pg_authid": "rolname rolpassword", "pg_roles": "oid rolname rolconfig", "pg_settings": "name setting",
		"pg_subscription": "oid subname subconninfo", "pg_largeobject": "loid data", "pg_user_mapping": "oid umoptions", "pg_new_in_99": "x"} {
		r := table(name)
		r.Name.Schema = "pg_catalog"
		for _, c := range strings.Fields(columns) {
			r.Columns = append(r.Columns, access.Column{Name: c, Type: "text", TypeOID: 25})
		}
		cat.Relations[r.Name] = r
	}
	columns := table("columns", "table_name text")
	columns.Name.Schema = "information_schema"
	cat.Relations[columns.Name] = columns
	return cat
}

func labels(n access.Name) map[string][]access.Label {
	switch n {
	case public("customers"):
		return map[string][]access.Label{"email": {"pii.email"}, "phone": {"pii.phone"}}
	case public("computed"):
		return map[string][]access.Label{"secret": {"pii.phone"}}
	case public("people"):
		return map[string][]access.Label{"email": {"pii.email"}}
	}
	return nil
}

func refused(n access.Name) string {
	if n == public("rich") {
		return "it chooses rows by customers.phone"
	}
	return ""
}

var actors = []access.Principal{
	{Name: "bot", Kind: access.Agent, Groups: []string{"agents"}},
	{Name: "ada", Kind: access.Human, Groups: []string{"engineers"}},
	{Name: "lynn", Kind: access.Human, Groups: []string{"analysts"}},
}

// TestDecisionsOnSQL decides real statements as each of three principals: bot reads masked, ada reads
// masked, writes, and looks emails up, lynn sees all raw. A case whose name ends in _no_reason comes
// without a reason.
func TestDecisionsOnSQL(t *testing.T) {
	text, err := os.ReadFile("testdata/decide.cedar")
	if err != nil {
		t.Fatal(err)
	}
	set, err := policy.Load([]policy.File{{Name: "decide.cedar", Text: string(text)}})
	if err != nil {
		t.Fatal(err)
	}
	reg, err := registry.Load(150018)
	if err != nil {
		t.Fatal(err)
	}
	cat := shop()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, file := range files {
		ar, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var out []txtar.File
		for i := 0; i < len(ar.Files); i++ {
			name, ok := strings.CutSuffix(ar.Files[i].Name, ".sql")
			if !ok {
				continue
			}
			var want string
			if i+1 < len(ar.Files) && ar.Files[i+1].Name == name+".want" {
				want = string(ar.Files[i+1].Data)
			}
			sql := string(ar.Files[i].Data)
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar")+"/"+name, func(t *testing.T) {
				got := decideAll(t, sql, !strings.HasSuffix(name, "_no_reason"), cat, reg, set)
				out = append(out, txtar.File{Name: name + ".sql", Data: []byte(sql)}, txtar.File{Name: name + ".want", Data: []byte(got)})
				if !*update && got != want {
					t.Errorf("%s\ngot:\n%s\nwant:\n%s", sql, got, want)
				}
			})
		}
		if *update {
			ar.Files = out
			if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// decideAll describes each principal's decision, one line each, or one for all where they agree.
func decideAll(t *testing.T, sql string, hasReason bool, cat *access.Catalog, reg *registry.Registry, set *policy.Set) string {
	trees, err := postgres.Parse(sql)
	if err != nil {
		return "unparsed: " + err.Error() + "\n"
	}
	var b strings.Builder
	for i, tree := range trees {
		if i > 0 {
			b.WriteString("--\n")
		}
		facts, err := postgres.Analyze(tree, postgres.Env{Catalog: cat, Path: []string{"pg_catalog", "public"}, Registry: reg})
		if err != nil {
			fmt.Fprintf(&b, "not analysed: %s\n", access.AsError(err).Message)
			continue
		}
		var lines []string
		agree := true
		for _, p := range actors {
			d := sqlguard.Decide(sqlguard.Input{Principal: p, Door: access.DoorPGWire, Connection: "shop", Facts: facts, Catalog: cat,
				Labels: labels, Refused: refused, Policies: set, HasReason: hasReason})
			lines = append(lines, strings.ReplaceAll(describe(d), p.Name, "WHO"))
			agree = agree && lines[0] == lines[len(lines)-1]
		}
		if agree {
			fmt.Fprintf(&b, "all %s\n", lines[0])
			continue
		}
		for i, l := range lines {
			fmt.Fprintf(&b, "%s %s\n", actors[i].Name, strings.ReplaceAll(l, "WHO", actors[i].Name))
		}
	}
	return b.String()
}

func describe(d access.Decision) string {
	if d.Effect == access.Deny {
		return fmt.Sprintf("deny %s %s | %s", d.Code, d.Message, d.Hint)
	}
	s := d.Effect.String()
	if len(d.Policies) > 0 {
		s += " by " + strings.Join(d.Policies, ",")
	}
	if o := policy.ObligationWords(d.Obligations); o != "" {
		s += " " + o
	}
	for _, list := range []struct {
		word string
		ids  []access.ColumnID
	}{{"masked", d.Masked}, {"lookup", d.Lookup}} {
		for i, id := range list.ids {
			if i == 0 {
				s += " " + list.word
			}
			s += " " + id.Relation.Name + "." + id.Column
		}
	}
	return s
}
