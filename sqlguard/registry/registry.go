package registry

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
)

// Classes of built-in functions. A function that does several of these things has the class that
// comes last in this list.
const (
	Pure      = "pure"      // computes on its arguments only
	Catalog   = "catalog"   // reads schema metadata, session identity or server version
	Volatile  = "volatile"  // random numbers, clocks, the session's own sequence values
	Setting   = "setting"   // reads or changes run-time parameters
	Notify    = "notify"    // sends a notification
	Writes    = "writes"    // changes sequences, large objects, or assigns a transaction id
	Sizes     = "sizes"     // tells how much room relations take, so how long values are
	Bounds    = "bounds"    // tells by which values partitions are divided
	Discloses = "discloses" // tells about data, statistics, or what others do
	RunsSQL   = "runs_sql"  // runs SQL or reads relations named in its arguments
	Blocks    = "blocks"    // sleeps, takes advisory locks
	Admin     = "admin"     // files, processes, replication, configuration
	Internal  = "internal"  // type I/O and support of indexes, aggregates, triggers; not for SQL
)

// Classes of system relations.
const (
	Open   = "open"   // schema metadata, which drivers and psql read
	Data   = "data"   // values, statistics, statement texts, what others do
	Secret = "secret" // passwords, keys, server configuration
)

//go:embed functions.tsv
var functionsText string

//go:embed relations.tsv
var relationsText string

//go:embed operators.txt
var operatorsText string

//go:embed types.txt
var typesText string

// Registry answers for one server version. It is immutable.
type Registry struct{ *tables }

// tables are the parsed lists, shared by all.
type tables struct {
	functions map[string]function
	relations map[[2]string]relation
	operators map[string]bool
	types     map[string]bool
}

type function struct{ class, note string }

type relation struct{ class, hidden string }

var load = sync.OnceValues(parse)

// Oldest and newest major version of PostgreSQL that the lists speak for.
const (
	oldest = 14
	newest = 18
)

// Load gives the registry for a server by its server_version_num (150018). A newer server than the
// lists speak for is accepted: what it brings that is not listed stays unknown, hence refused.
func Load(serverVersion int) (*Registry, error) {
	if major := serverVersion / 10000; major < oldest {
		return nil, fmt.Errorf("PostgreSQL %d is too old: %d to %d are supported", major, oldest, newest)
	}
	t, err := load()
	if err != nil {
		return nil, err
	}
	return &Registry{t}, nil
}

// Function gives the class of a function of pg_catalog by its bare name.
func (t *tables) Function(name string) (class string, ok bool) {
	f, ok := t.functions[name]
	return f.class, ok
}

// Relation gives the class of a relation of pg_catalog or information_schema.
func (t *tables) Relation(schema, name string) (class string, ok bool) {
	r, ok := t.relations[[2]string{schema, name}]
	return r.class, ok
}

// Hidden gives the column of an open relation that is not open itself, or "".
func (t *tables) Hidden(schema, name string) string {
	return t.relations[[2]string{schema, name}].hidden
}

// Operator reports whether pg_catalog has an operator of that name.
func (t *tables) Operator(name string) bool { return t.operators[name] }

// Type reports whether pg_catalog has a type of that name, as pg_type spells it (int4, _int4).
func (t *tables) Type(name string) bool { return t.types[name] }

// ClassOfRelation gives Relation and Hidden to whoever has no Registry at hand.
func ClassOfRelation(schema, name string) (class, hidden string, ok bool) {
	t, err := load()
	if err != nil {
		return "", "", false
	}
	class, ok = t.Relation(schema, name)
	return class, t.Hidden(schema, name), ok
}

// jsonCast is the note of functions that convert values by their type's cast to json.
const jsonCast = "json-cast"

// CallsJSONCasts reports whether a built-in converts values by their type's cast to json, which may
// be a user's function.
func CallsJSONCasts(name string) bool {
	t, err := load()
	return err != nil || strings.HasPrefix(t.functions[name].note, jsonCast)
}

var (
	functionClasses = set(Pure, Catalog, Volatile, Setting, Notify, Writes, Sizes, Bounds, Discloses, RunsSQL, Blocks, Admin, Internal)
	relationClasses = set(Open, Data, Secret)
)

// parse reads the embedded lists. Any line that it does not understand fails all of it.
func parse() (*tables, error) {
	t := &tables{functions: map[string]function{}, relations: map[[2]string]relation{}, operators: map[string]bool{}, types: map[string]bool{}}
	for n, line := range lines(functionsText) {
		f := strings.Split(line, "\t")
		if len(f) != 3 || f[0] == "" || !functionClasses[f[1]] {
			return nil, fmt.Errorf("functions.tsv: entry %d: %q is not name, known class, note", n+1, line)
		}
		if _, twice := t.functions[f[0]]; twice {
			return nil, fmt.Errorf("functions.tsv: %s is listed twice", f[0])
		}
		t.functions[f[0]] = function{f[1], f[2]}
	}
	for n, line := range lines(relationsText) {
		f := strings.Split(line, "\t")
		if len(f) != 4 || !relationClasses[f[2]] {
			return nil, fmt.Errorf("relations.tsv: entry %d: %q is not schema, name, known class, note", n+1, line)
		}
		r := relation{class: f[2]}
		if strings.HasPrefix(f[3], "-") {
			r.hidden, _, _ = strings.Cut(f[3][1:], ":")
		}
		t.relations[[2]string{f[0], f[1]}] = r
	}
	for _, name := range lines(operatorsText) {
		t.operators[name] = true
	}
	for _, name := range lines(typesText) {
		t.types[name] = true
	}
	return t, nil
}

// lines gives the lines of a list without comments ("// ...") and blanks.
func lines(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if line != "" && !strings.HasPrefix(line, "// ") {
			out = append(out, line)
		}
	}
	return out
}

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}
