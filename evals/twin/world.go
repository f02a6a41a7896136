package twin

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"sallyport/evals/harness"
	"sallyport/internal/testdb"
)

//go:embed schema/tables.sql
var tablesSQL string

//go:embed schema/objects.sql
var objectsSQL string

//go:embed schema/views.sql
var viewsSQL string

// The database, the connection, and who asks. Both sides use the same names, so that no answer
// differs by them.
const (
	Database = "twin"
	// Level is a copy of the database without the statistics of values, by which the server chooses plans:
	// what differs there does not come from a plan. In plain worlds only.
	Level  = "level"
	Human  = "masked"
	Agent  = "masked-agent"
	Secret = "evals-secret"
)

// World is a pair of twins of one kind.
type World struct {
	Kind    Kind
	A, B    *Side
	Corpora string // "" where the corpora are absent
	// Dir is where shapes may try to make the servers write files: in direct/ around the gateways, in doors/
	// through them, where none may come to be.
	Dir string
	// Plain leaves out the corpora's schema, extensions, user functions and relations that are refused
	// by design (for the fuzzer).
	Plain bool
}

// Side is one twin: a server and, once Open has run with gateways, a gateway before it.
type Side struct {
	Server  *testdb.Server
	Gateway *harness.Gateway
	swaps   []string // old, new ... for Clean
	port    *regexp.Regexp
}

// Direct is a connection string that goes around the gateway.
func (s *Side) Direct() string { return s.Server.DSN(Database) }

// Door is a connection string through the PostgreSQL door.
func (s *Side) Door() string { return s.Gateway.DSN(Human, Secret, Database) }

// Open makes the twins of a kind; with gateways, one before each.
func Open(ctx context.Context, kind Kind, gateways bool) (*World, error) {
	w := &World{Kind: kind}
	if dir, err := harness.Corpora(); err == nil {
		w.Corpora = dir
	}
	return w.start(ctx, gateways)
}

// OpenPlain makes twins of a kind with gateways and the plain schema, as fuzzers need them: statements are cut
// off after 0.3 s, and beside the database there is one that is level, see Level.
func OpenPlain(ctx context.Context, kind Kind) (*World, error) {
	w := &World{Kind: kind, Plain: true}
	return w.start(ctx, true)
}

func (w *World) start(ctx context.Context, gateways bool) (*World, error) {
	if err := w.mkdir(); err != nil {
		return nil, err
	}
	for i, side := range []**Side{&w.A, &w.B} {
		s, err := w.open(ctx, i == 1, gateways)
		*side = s
		if err != nil {
			w.Close()
			return nil, err
		}
	}
	return w, nil
}

// mkdir makes the folders that the servers, which run as another user, could write to.
func (w *World) mkdir() (err error) {
	if w.Dir, err = os.MkdirTemp("", "sallyport-twin-"); err != nil {
		return err
	}
	for _, dir := range []string{w.Dir, w.place(around), w.place(through)} {
		if err = errors.Join(os.MkdirAll(dir, 0o777), os.Chmod(dir, 0o777)); err != nil {
			return err
		}
	}
	return nil
}

const around, through = "direct", "doors"

func (w *World) place(how string) string { return filepath.Join(w.Dir, how) }

// placed writes the folder into a shape that names one.
func (w *World) placed(s Shape, how string) Shape {
	steps := make([]string, len(s.Steps))
	for i, step := range s.Steps {
		steps[i] = strings.ReplaceAll(step, "{DIR}", w.place(how))
	}
	s.Steps = steps
	return s
}

// written gives the files that came to be through the doors, and removes them.
func (w *World) written() (names []string, err error) {
	files, err := os.ReadDir(w.place(through))
	for _, f := range files {
		names = append(names, f.Name())
		err = errors.Join(err, os.Remove(filepath.Join(w.place(through), f.Name())))
	}
	return names, err
}

// Close stops everything.
func (w *World) Close() {
	defer os.RemoveAll(w.Dir)
	for _, s := range []*Side{w.A, w.B} {
		if s == nil {
			continue
		}
		if s.Gateway != nil {
			s.Gateway.Stop()
		}
		if s.Server != nil {
			s.Server.Stop()
		}
	}
}

func (w *World) open(ctx context.Context, second, gateway bool) (*Side, error) {
	s := &Side{}
	var err error
	// Background work would let the twins' statistics and transaction numbers drift apart.
	if s.Server, err = testdb.Start(testdb.Options{Conf: []string{"autovacuum=off", "shared_buffers=64MB"}}); err != nil {
		return s, err
	}
	if err := s.Server.Exec(ctx, "postgres", "create database "+Database); err != nil {
		return s, err
	}
	for _, script := range w.scripts(second) {
		if err := s.Server.Exec(ctx, Database, script); err != nil {
			return s, fmt.Errorf("load the %s twin: %w", w.Kind, err)
		}
	}
	if w.Plain {
		if err := w.level(ctx, s); err != nil {
			return s, err
		}
	}
	if err := s.observe(ctx); err != nil {
		return s, err
	}
	if gateway {
		s.Gateway, err = harness.Start(ctx, w.spec(s))
	}
	return s, err
}

// forget deletes the statistics of values. The counts of rows and pages stay.
const forget = "delete from pg_statistic where starelid >= 16384; delete from pg_statistic_ext_data"

// level makes the level copy. Answers of token twins are compared with a copy that holds the tokens, whose
// statistics are others altogether: there, everything is level.
func (w *World) level(ctx context.Context, s *Side) error {
	if w.Kind == Token {
		if err := s.Server.Exec(ctx, Database, forget); err != nil {
			return err
		}
	}
	if err := s.Server.Exec(ctx, "postgres", fmt.Sprintf("create database %s template %s", Level, Database)); err != nil {
		return err
	}
	return s.Server.Exec(ctx, Level, forget)
}

// PlainScripts make one side's database of a plain world.
func PlainScripts(kind Kind, second bool) []string {
	return (&World{Kind: kind, Plain: true}).scripts(second)
}

// scripts make one side's database. Both sides run the same statements with other labelled values,
// so that object identifiers, transaction numbers and row places agree.
func (w *World) scripts(second bool) []string {
	if w.Plain {
		return []string{plainTypes.Replace(extensions.ReplaceAllString(tablesSQL, "")), rows(second, w.Kind), viewsSQL}
	}
	var all []string
	leaks := filepath.Join(w.Corpora, "leaks", "schema.sql")
	if text, err := os.ReadFile(leaks); w.Corpora != "" && err == nil {
		all = append(all, string(text), w.leaksUpdate(second))
	}
	objects := objectsSQL
	if len(all) == 0 {
		objects = strings.Replace(objects, "refresh materialized view mv;\n", "", 1)
	}
	return append(all, tablesSQL, rows(second, w.Kind), "create schema hr2; create table extra (id int)", objects)
}

// The plain schema is tables.sql without extensions and their types.
var (
	extensions = regexp.MustCompile(`(?m)^create extension .*$`)
	plainTypes = strings.NewReplacer("nick citext", "nick text", "attrs hstore", "attrs text")
)

// leaksUpdate changes the corpus schema's ssn on the second side. Both sides write their rows anew in
// one order: where rows lie must not depend on how an update found room for them.
func (w *World) leaksUpdate(second bool) string {
	expr := "%s"
	switch {
	case second && w.Kind == Redact: // other lengths, some NULL, other first digits
		expr = "case when %s like '%%3' then null else (%[1]s::bigint * 13 %% 90000000 + 1000000)::text end"
	case second && w.Kind == Token:
		expr = "translate(%s, '0123456789', '5678901234')"
	case second && (w.Kind == Partial || w.Kind == Generalise):
		expr = "reverse(%s)"
	}
	var b strings.Builder
	for _, table := range []string{"customers", "orders", "pt"} {
		fmt.Fprintf(&b, "create temp table x as select * from %[1]s; update x set ssn = %[2]s; truncate %[1]s; insert into %[1]s select * from x order by id; drop table x;\n",
			table, fmt.Sprintf(expr, "ssn"))
	}
	return b.String()
}

// rowCount is enough for groups, ties and several pages, and little enough to read.
const rowCount = 60

// rows inserts the rows of tables.sql.
func rows(second bool, kind Kind) string {
	var b strings.Builder
	labelled := func(table string, k int) (names, values string) {
		for _, c := range columns {
			if c.table == table {
				names += `, "` + c.name + `"`
				v := c.value(k, second, kind)
				if b, ok := c.generalised(); ok && kind == Generalise && k%13 != 5 { // NULL in both
					v = b.value(k, second)
				}
				values += ", " + v
			}
		}
		return names, values
	}
	insert := func(table, plain, plainValues string, k int) {
		n, v := labelled(table, k)
		if !strings.Contains(table, ".") {
			table = `"` + strings.ReplaceAll(table, `"`, `""`) + `"`
		}
		fmt.Fprintf(&b, "insert into %s (%s%s) values (%s%s);\n", table, plain, n, plainValues, v)
	}
	hide := hider(second, kind)
	for k := 1; k <= 6; k++ {
		insert("dept", "id, name", fmt.Sprintf("%d, 'dept%d'", k, k), k)
	}
	for k := 1; k <= rowCount; k++ {
		insert("people", "id, name, region, dept_id, note", hide.people(fmt.Sprintf("%d, 'name%d', 'r%d', %d, 'note %d'", k, k, k%4, 1+k%6, k), k), k)
		insert("events", "id, region, at", hide.events(fmt.Sprintf("%d, 'r%d', '2024-01-01'::timestamp + interval '%d hours'", k, k%4, k), k), k)
		insert("hr.people", "id", hide.hr(fmt.Sprint(k), k), k)
	}
	for k := 1; k <= 80; k++ {
		insert("payments", "id, person_id, amount, at", hide.payments(fmt.Sprintf("%d, %d, %d.50, '2024-02-%02d'", k, 1+k%rowCount, k*3, 1+k%28), k), k)
	}
	for k := rowCount + 1; k <= rowCount+hide.more; k++ {
		insert("people", "id, name, region, dept_id, note", hide.people(fmt.Sprintf("%d, '', 'r3', 1, ''", k), k), k)
	}
	for k := 1; k <= 20; k++ {
		insert("watched", "id, note", fmt.Sprintf("%d, 'n%d'", k, k), k)
		insert("ruled", "id, name", fmt.Sprintf("%d, 'n%d'", k, k), k)
		insert("bykey", "id", fmt.Sprint(k), k)
		insert("base_log", "id, line", fmt.Sprintf("%d, 'line %d'", k, k), k)
		insert("special_log", "id, line, extra", fmt.Sprintf("%d, 'line %d', 'x%d'", 100+k, k, k), k)
		insert(`Odd "Name`, `"select", "ümlaut"`, fmt.Sprintf("%d, 'u%d'", k, k), k)
	}
	for k := 1; k <= 30; k++ { // what an attacker might guess: values of the first twin, as constants in both
		fmt.Fprintf(&b, "insert into guesses values (%d, %s, %d);\n", 20+k, email(k, false, kind), 1000+k*200)
	}
	boss := "boss@dom1.example"
	if second {
		boss = "bass@dom1.example"
	}
	fmt.Fprintf(&b, "insert into notes values (1, 'plain words'), (2, 'more words');\nupdate people set email = '%s' where id = %d;\n", boss, rowCount)
	return b.String()
}

// pattern writes a label rule's column pattern; what it cannot spell becomes a wildcard.
func (c column) pattern() string {
	table := c.table
	if !strings.Contains(table, ".") {
		table = "public." + table
	}
	return strings.NewReplacer(`"`, "?", " ", "?").Replace(table) + "." + c.name
}

// spec configures a gateway for this kind of principal.
func (w *World) spec(s *Side) harness.Spec {
	spec := harness.Spec{
		Connections: map[string]string{Database: s.Direct()},
		Principals: []harness.Principal{
			{Name: Human, Groups: []string{"masked"}, Password: Secret},
			{Name: Agent, Agent: true, Groups: []string{"masked"}, Token: Secret + "-token-0123456789"},
		},
		Masks:  map[string]harness.Mask{},
		Policy: w.policy(),
	}
	if w.Plain {
		spec.Connections[Level] = s.Server.DSN(Level)
	}
	label := func(name, pattern string) {
		l := "pii." + strings.ToLower(strings.NewReplacer("-", "_").Replace(name))
		for i := range spec.Labels {
			if spec.Labels[i].Name == l {
				spec.Labels[i].Columns = append(spec.Labels[i].Columns, pattern)
				return
			}
		}
		spec.Labels = append(spec.Labels, harness.Label{Name: l, Columns: []string{pattern}})
		spec.Masks[l] = w.mask(name)
	}
	for _, c := range columns {
		name := c.name
		if name == "boss_email" {
			name = "email" // joins with people.email
		}
		label(name, c.pattern())
	}
	for _, t := range []string{"customers", "orders", "pt"} {
		if w.Corpora != "" {
			label("ssn", "public."+t+".ssn")
		}
	}
	return spec
}

// mask is how a label looks to this kind of principal.
func (w *World) mask(name string) harness.Mask {
	if w.Kind == Token {
		switch name {
		case "email", "phone", "code", "nick", "age", "big", "uid", "tags", "nums", "ssn", "pin", "card", "actor", "secret", "who", "E-Mail", "pay":
			return harness.Mask{Transform: "token"}
		}
	}
	if m, ok := partialMasks[name]; ok && w.Kind == Partial {
		return m
	}
	if b, ok := buckets[name]; ok && w.Kind == Generalise {
		return b.mask
	}
	return harness.Mask{Transform: "redact"}
}

// partialMasks have an image that values.go keeps the same in both twins.
var partialMasks = map[string]harness.Mask{
	"email":  {Transform: "partial", Style: "email"},
	"phone":  {Transform: "partial", Style: "phone"},
	"card":   {Transform: "partial", Style: "card"},
	"age":    {Transform: "generalise", Bucket: "10"},
	"salary": {Transform: "generalise", Bucket: "1000"},
	"born":   {Transform: "generalise", Style: "year"},
	"seen":   {Transform: "generalise", Style: "month"},
	"feel":   {Transform: "null"},
}
