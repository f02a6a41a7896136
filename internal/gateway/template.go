package gateway

import (
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"

	"sallyport/sqlguard/postgres"
	"sallyport/sqlguard/registry"
)

// template is a plan for a shape: the compiled text in pieces, with a literal of the client's between
// each two.
type template struct {
	plan   *plan
	pieces []string
	slots  []int // slots[i] is the literal between pieces[i] and pieces[i+1]
}

// judged is one statement of a batch: its plan and the text that runs.
type judged struct {
	plan    *plan
	named   *plan  // EXECUTE, FETCH: the plan of that statement itself, where plan is what it runs
	sql     string // overrides plan.sql where not empty
	probes  int64  // guesses at masked values that it answers
	source  string // what the client sent, where it is not the whole of the operation's text
	opened  bool   // FETCH from a cursor that was opened before
	within  bool   // ... and is made by what stands before it in the same text
	guessed string // why it needs approval beside its plan: its guesses are past a budget
	// approval is the request under which it runs, where it needs one.
	approval string
	tmpl     *template
	lits     []span // with tmpl: the literals, in from
	from     string
}

// append writes the text that runs.
func (j *judged) append(dst []byte) []byte {
	switch {
	case j.tmpl != nil:
		for i, piece := range j.tmpl.pieces {
			dst = append(dst, piece...)
			if i < len(j.tmpl.slots) {
				l := j.lits[j.tmpl.slots[i]]
				dst = append(dst, j.from[l.from:l.to]...)
			}
		}
		return dst
	case j.sql != "":
		return append(dst, j.sql...)
	}
	return append(dst, j.plan.sql...)
}

// itself is the plan of the statement as written: what EXECUTE or FETCH stand for is looked up each time
// they run, for the name can mean something else by then.
func (j *judged) itself() *plan {
	if j.named != nil {
		return j.named
	}
	return j.plan
}

func (j *judged) text() string { return string(j.append(nil)) }

// newTemplate makes a template of a statement just planned as p, or gives nil when the plan could depend
// on a literal. It compiles the statement again with marked literals and looks for the marks in the
// result, so it needs no knowledge of how the compiler moves constants about.
func (sc *scope) newTemplate(sql string, lits []span, p *plan) *template {
	if !p.pure && p.facts.Class != "READ" && p.facts.Class != "WRITE" || !p.quiet || p.facts.Explain || p.probes.Varies || p.facts.CopyIn || p.facts.CopyOut {
		return nil
	}
	for _, f := range p.facts.Functions {
		if f.Class != registry.Pure {
			return nil // what a function does may depend on its constants
		}
	}
	trees, err := postgres.Parse(sql)
	if err != nil || len(trees) != 1 || !freeLiterals(trees[0].Stmt, lits) {
		return nil
	}
	if p.original {
		t := &template{plan: p}
		at := 0
		for i, l := range lits {
			t.pieces, t.slots = append(t.pieces, sql[at:l.from]), append(t.slots, i)
			at = l.to
		}
		t.pieces = append(t.pieces, sql[at:])
		return t
	}
	var marked strings.Builder
	marks := make([]string, len(lits))
	at := 0
	for i, l := range lits {
		marked.WriteString(sql[at:l.from])
		switch lit := sql[l.from:l.to]; {
		case lit[0] == '\'':
			marks[i] = "'sallyport literal " + strconv.Itoa(i) + " .'"
		case strings.Contains(lit, "."):
			marks[i] = "7391820" + strconv.Itoa(1000+i) + ".5"
		case len(lit) > 9:
			marks[i] = "73918204455" + strconv.Itoa(1000+i)
		default:
			marks[i] = "7391" + strconv.Itoa(1000+i) // of the length of no token
		}
		if mark := strings.Trim(marks[i], "'"); strings.Contains(sql, mark) || strings.Contains(p.sql, mark) {
			return nil
		}
		marked.WriteString(marks[i])
		at = l.to
	}
	marked.WriteString(sql[at:])
	trees, err = postgres.Parse(marked.String())
	if err != nil || len(trees) != 1 {
		return nil
	}
	compiled, err := sc.newPlan(trees[0])
	if err != nil {
		return nil
	}
	return compiled.split(p, marks)
}

// split cuts the compiled text at the marks; each has to be there.
func (p *plan) split(real *plan, marks []string) *template {
	t := &template{plan: real}
	rest, seen := p.sql, make([]bool, len(marks))
	for {
		first, which := -1, 0
		for i, m := range marks {
			if at := strings.Index(rest, m); at >= 0 && (first < 0 || at < first) {
				first, which = at, i
			}
		}
		if first < 0 {
			break
		}
		t.pieces, t.slots = append(t.pieces, rest[:first]), append(t.slots, which)
		rest = rest[first+len(marks[which]):]
		seen[which] = true
	}
	t.pieces = append(t.pieces, rest)
	for _, ok := range seen {
		if !ok {
			return nil
		}
	}
	return t
}

// freeLiterals reports whether every literal of lits is a constant in a place where its value cannot
// change what the statement means: an operand, a row of VALUES, an item of a list. Positions such as
// ORDER BY 1, type modifiers, casts ('t'::regclass) and utility options are not such places.
func freeLiterals(stmt *pg.Node, lits []span) bool {
	free := map[int]bool{}
	var walk func(m protoreflect.Message, ok bool)
	walk = func(m protoreflect.Message, ok bool) {
		if c, is := m.Interface().(*pg.A_Const); is {
			if ok {
				free[int(c.GetLocation())] = true
			}
			return
		}
		m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			if fd.Message() == nil {
				return true
			}
			ok := ok
			switch name := string(fd.ContainingMessage().Name()) + "." + string(fd.Name()); name {
			case "A_Expr.lexpr", "A_Expr.rexpr", "InsertStmt.select_stmt", "SelectStmt.values_lists":
				ok = true
			case "Node.list", "List.items", "Node.a_const": // containers keep what they are in
			default:
				ok = fd.Name() == "a_expr" && ok
			}
			if fd.IsList() {
				for i := range v.List().Len() {
					walk(v.List().Get(i).Message(), ok)
				}
			} else {
				walk(v.Message(), ok)
			}
			return true
		})
	}
	walk(stmt.ProtoReflect(), false)
	for _, l := range lits {
		if !free[l.from] {
			return false
		}
	}
	return true
}
