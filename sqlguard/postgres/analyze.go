package postgres

import (
	"fmt"
	"runtime/debug"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// Env is what names in a statement are resolved against.
type Env struct {
	Catalog  *access.Catalog
	Path     []string // effective search_path, with the implicit pg_catalog first, without pg_temp
	Registry Registry
	// Bodies keeps what functions do; nil: no body is looked at.
	Bodies *Bodies
	// Secured says that row security may bind whoever statements run as, whatever it does with the gateway's own role.
	Secured bool

	within *function // whose body this is
}

// Registry knows the server's built-ins. *registry.Registry implements it.
type Registry interface {
	// Function gives the strictest class over all built-in functions of that name.
	Function(name string) (class string, ok bool)
	// Relation gives the class of a relation of pg_catalog or information_schema.
	Relation(schema, name string) (class string, ok bool)
	Operator(name string) bool
	Type(name string) bool
}

// Analyze resolves every name in t as the server would, fills t's maps and says what the statement
// does. What cannot be resolved, or is not understood, is an *access.Error; t must then not be run.
// Analyze decides nothing: a statement that reads secrets has facts like any other.
func Analyze(t *pgtree.Tree, env Env) (*access.Facts, error) {
	return analyze(t, env, nil)
}

// analyze is Analyze with a hook that sees each FuncCall, RangeVar, TypeName and A_Expr once walked.
func analyze(t *pgtree.Tree, env Env, seen func(any)) (facts *access.Facts, err error) {
	a := newAnalyzer(t, env)
	a.seen = seen
	defer a.stopped(&facts, &err)
	a.statement(t.Stmt)
	a.finish()
	return a.facts, nil
}

// analyzer is one walk over one statement.
type analyzer struct {
	t          *pgtree.Tree
	env        Env
	facts      *access.Facts
	cols       columnTable
	rels       []*relation
	byRel      map[*access.Relation]*relation
	funcs      map[access.FunctionUse]bool
	typesNamed []uint32 // user-defined types that the statement names
	passed     []int32  // columns handed to functions of several arguments
	work       int      // see spend
	// impure is set by whatever makes a read more than a pure one: a lock, a user's function ...
	impure bool
	// locksAll is set by a locking clause that does not name relations: any may be meant.
	locksAll bool
	seen     func(any)
}

// relation gathers what a statement does with one relation.
type relation struct {
	rel   *access.Relation
	base  int32 // id of its first column in the column table; its columns follow in order
	whole bool
	locks bool // FOR UPDATE OF names it
	acts  []action
}

// action is one thing done to a relation, with the columns assigned to if it is a write.
type action struct {
	act   access.Action
	verb  string
	whole bool
	every bool // it may reach every row: no condition looks at them
	cols  []string
}

func newAnalyzer(t *pgtree.Tree, env Env) *analyzer {
	t.Refs = map[*pg.RangeVar]*pgtree.Ref{}
	t.New = map[*pg.RangeVar]access.Name{}
	t.CTEs = map[*pg.RangeVar]bool{}
	t.Cols = map[*pg.ColumnRef]*pgtree.Col{}
	t.Funcs = map[*pg.FuncCall]access.FunctionUse{}
	t.FuncCols = map[*pg.FuncCall]*pgtree.Col{}
	return &analyzer{t: t, env: env, facts: Sketch(t), byRel: map[*access.Relation]*relation{}, funcs: map[access.FunctionUse]bool{}}
}

// firstUserOID is FirstNormalObjectId: what initdb did not make has at least this OID.
const firstUserOID = 16384

// stop is how the walk ends early; it never leaves this package.
type stop struct{ err *access.Error }

// stopped turns a stop into an error, and a bug that panics into a refusal: the walk sees hostile
// trees, and one it cannot finish must not take the process along, nor pass.
func (a *analyzer) stopped(facts **access.Facts, err *error) {
	switch r := recover().(type) {
	case nil:
	case stop:
		*facts, *err = nil, r.err
	default:
		*facts = nil
		*err = &access.Error{Kind: access.Internal, Code: "XX000", Message: "the statement could not be analysed",
			Hint: "this is a bug in the gateway; nothing was executed", Err: fmt.Errorf("panic: %v\n%s", r, debug.Stack())}
	}
}

// fail ends the walk with a request that is wrong in itself, as the server would.
func (a *analyzer) fail(loc int32, code, format string, args ...any) {
	panic(stop{&access.Error{Kind: access.Invalid, Code: code, Message: fmt.Sprintf(format, args...), Position: a.position(loc)}})
}

// refuse ends the walk because the gateway does not do this.
func (a *analyzer) refuse(loc int32, hint, format string, args ...any) {
	panic(stop{&access.Error{Kind: access.Unsupported, Code: "0A000", Message: fmt.Sprintf(format, args...), Hint: hint, Position: a.position(loc)}})
}

// unknown refuses a node that the walk has no case for.
func (a *analyzer) unknown(where string, n any) {
	a.refuse(-1, "rewrite the statement without it", "%s is not supported here: %T", where, n)
}

// position turns a byte location in the batch into a character position, from 1; 0 is unknown.
func (a *analyzer) position(loc int32) int {
	i := int(loc) - a.t.Offset
	if loc < 0 || i < 0 || i > len(a.t.SQL) {
		return 0
	}
	return a.t.Before + utf8.RuneCountInString(a.t.SQL[:i]) + 1
}

// maxWork bounds the walk: expressions walked plus names compared. A name costs as much as there are
// columns in sight, so a text within the size limit could otherwise keep a processor busy for minutes.
const maxWork = 50_000_000

func (a *analyzer) spend(n int) {
	if a.work += n; a.work > maxWork {
		panic(stop{&access.Error{Kind: access.Invalid, Code: "54001", Message: "the statement is too complex", Hint: "split it"}})
	}
}

func (a *analyzer) visit(n any) {
	if a.seen != nil {
		a.seen(n)
	}
}

// touch gives the record of rel, made at its first use.
func (a *analyzer) touch(rel *access.Relation) *relation {
	r := a.byRel[rel]
	if r == nil {
		r = &relation{rel: rel, base: a.cols.block(rel)}
		a.byRel[rel] = r
		a.rels = append(a.rels, r)
	}
	return r
}

// act records that the statement does something to rel, and gives the record to add columns to. The
// pointer is valid until the next act on rel.
func (a *analyzer) act(rel *access.Relation, act access.Action, verb string) *action {
	r := a.touch(rel)
	for i := range r.acts {
		if r.acts[i].act == act && r.acts[i].verb == verb {
			return &r.acts[i]
		}
	}
	r.acts = append(r.acts, action{act: act, verb: verb})
	return &r.acts[len(r.acts)-1]
}

func (w *action) assign(col string) {
	for _, c := range w.cols {
		if c == col {
			return
		}
	}
	w.cols = append(w.cols, col)
}

// finish turns what was gathered into facts.
func (a *analyzer) finish() {
	a.cols.settle()
	f := a.facts
	for _, r := range a.rels {
		for _, act := range r.acts {
			use := access.RelationUse{Name: r.rel.Name, Action: act.act, Verb: act.verb, Whole: act.whole, Every: act.every}
			switch act.act {
			case access.ActRead:
				use.Whole = use.Whole || r.whole
				use.Columns = a.readColumns(r)
				use.Unlocked = f.Locks && act.verb == "select" && !a.locksAll && !r.locks
			default:
				for _, c := range act.cols {
					use.Columns = append(use.Columns, access.ColumnUse{Name: c, Use: access.UseWrite})
				}
			}
			f.Relations = append(f.Relations, use)
		}
	}
	a.effects()
	a.ownTypes()
	a.implicit()
	a.bodies()
	a.rowSecurity(a.env.Secured)
	for i := range f.Outputs {
		f.Outputs[i].Plain = f.Outputs[i].Plain && len(f.Outputs[i].Sources) == 1
	}
	for _, use := range a.cols.uses {
		f.Stores = f.Stores || use&access.UseStore != 0
	}
	f.Pure = f.Pure && !a.impure && !f.Locks && !f.Stores
}

func (a *analyzer) readColumns(r *relation) []access.ColumnUse {
	var out []access.ColumnUse
	for i := range r.rel.Columns {
		if use := a.cols.uses[r.base+int32(i)]; use != 0 {
			if use = use &^ (touched | compared); use == 0 {
				use = access.UseOutput // named in a subquery whose output nobody looks at
			}
			out = append(out, access.ColumnUse{Name: r.rel.Columns[i].Name, Use: use})
		}
	}
	return out
}

// outputs turns the columns of the outermost query into facts.
func (a *analyzer) outputs(res result) {
	if res.open {
		return
	}
	a.facts.Outputs = make([]access.Output, len(res.cols))
	a.cols.settle()
	for i, c := range res.cols {
		a.facts.Outputs[i] = access.Output{Name: c.name, Sources: a.cols.sources(c.src), Plain: c.plain}
	}
}
