package mask

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"sallyport/internal/access"
)

// deparse writes the compiled tree as SQL and believes it only after parsing it again: the text must
// mean this very tree, and the verifier must find no way from it to a masked column.
func (c *compiler) deparse() (string, error) {
	sql, got, err := writeBack(c.in.Tree.Stmt)
	if err != nil {
		return "", c.notWritten(err)
	}
	v := verifier{masks: c.masks, trees: c.in.Masks, items: map[access.ColumnID]*pg.Node{}, celled: map[*pg.ColumnRef]bool{}}
	v.visit(got.ProtoReflect(), reach{})
	if v.unclear != "" {
		return "", unsupported(fmt.Sprintf("%s could be the masked column of the relation that is written, or a column of something else", v.unclear),
			"write the name of what it is a column of before it, as in q."+v.unclear)
	}
	if v.why != "" {
		return "", internal("the compiled statement does not verify: " + v.why + ": " + sql)
	}
	return sql, nil
}

// writeBack gives a tree's text, and the tree of that text, without positions, if the two trees are the same.
func writeBack(n *pg.Node) (string, *pg.Node, error) {
	parenthesise(n)
	sql, err := pg.Deparse(&pg.ParseResult{Stmts: []*pg.RawStmt{{Stmt: n}}})
	if err != nil {
		return "", nil, errors.New("deparse: " + err.Error())
	}
	again, err := pg.Parse(sql)
	if err != nil || len(again.Stmts) != 1 {
		return "", nil, errors.New("the deparsed statement does not parse: " + sql)
	}
	got := again.Stmts[0].Stmt
	want := clone(n)
	unparenthesise(want)
	strip(got.ProtoReflect())
	strip(want.ProtoReflect())
	if !proto.Equal(got, want) {
		return "", nil, errors.New("the deparsed statement parses to another tree: " + sql)
	}
	return sql, got, nil
}

// notWritten tells a form that the deparser does not know, and loses without any mask too, from a mistake of
// the compiler.
func (c *compiler) notWritten(why error) error {
	if orig, err := pg.Parse(c.in.Tree.SQL); err == nil && len(orig.Stmts) == 1 {
		if _, _, err := writeBack(orig.Stmts[0].Stmt); err != nil {
			return &access.Error{Kind: access.Unsupported, Code: "0A000", Message: "a form of SQL in this statement is not available where columns are masked",
				Hint: "write it in another way, or in several statements", Err: why}
		}
	}
	return internal(why.Error())
}

// parenthesise makes the deparser write (ARRAY[1, 2])[i], which it gives without the parentheses, and so
// wrongly, for arguments other than those below: an indirection without indices is written as its argument,
// and an indirection in another one is put in parentheses. (born AT TIME ZONE 'UTC')::date, which it gives without them
// too, becomes a cast of the function's call that it stands for.
func parenthesise(n *pg.Node) {
	walkNode(n, func(n any) bool {
		if cast, ok := n.(*pg.TypeCast); ok {
			if f := cast.Arg.GetFuncCall(); f != nil && f.Funcformat == pg.CoercionForm_COERCE_SQL_SYNTAX && slices.Contains(infix, lastName(f.Funcname)) {
				f.Funcformat = pg.CoercionForm_COERCE_EXPLICIT_CALL
			}
		}
		ind, ok := n.(*pg.A_Indirection)
		if !ok || len(ind.Indirection) == 0 {
			return true
		}
		switch arg := ind.Arg.GetNode().(type) {
		case *pg.Node_ColumnRef, *pg.Node_ParamRef, *pg.Node_AIndirection, *pg.Node_FuncCall, *pg.Node_AExpr, *pg.Node_TypeCast, *pg.Node_RowExpr:
		case *pg.Node_SubLink:
			if arg.SubLink.SubLinkType != pg.SubLinkType_EXPR_SUBLINK {
				ind.Arg = &pg.Node{Node: &pg.Node_AIndirection{AIndirection: &pg.A_Indirection{Arg: ind.Arg}}}
			}
		default:
			ind.Arg = &pg.Node{Node: &pg.Node_AIndirection{AIndirection: &pg.A_Indirection{Arg: ind.Arg}}}
		}
		return true
	})
}

// infix are the functions in pg_catalog that have a syntax of their own whose end is an operand, on which a cast
// behind it would act.
var infix = []string{"timezone", "overlaps", "is_normalized"}

// unparenthesise takes out what parenthesise put in.
func unparenthesise(n *pg.Node) {
	walkNode(n, func(n any) bool {
		if ind, ok := n.(*pg.A_Indirection); ok {
			if inner := ind.Arg.GetAIndirection(); inner != nil && len(inner.Indirection) == 0 {
				ind.Arg = inner.Arg
			}
		}
		return true
	})
}

// strip clears the positions in a tree: all that a deparsed statement may differ in.
func strip(m protoreflect.Message) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := string(fd.Name())
		switch {
		case fd.Kind() == protoreflect.Int32Kind && (strings.HasSuffix(name, "location") || name == "list_start" || name == "list_end"):
			m.Clear(fd)
		case fd.Message() == nil:
		case fd.IsList():
			for l, i := v.List(), 0; i < l.Len(); i++ {
				strip(l.Get(i).Message())
			}
		default:
			strip(v.Message())
		}
		return true
	})
}

// verifier checks a compiled statement without knowing how it was compiled: it has the parsed text
// and the list of masked columns, no resolution. Where it cannot tell, it objects.
//
// It holds that
//   - a relation with masked columns stands only inside its own masked subquery, column by column and
//     letter by letter the expected one, or as the target of a write,
//     or in a subquery that finds the value of a token, letter by letter the expected one too, where that is stored
//     in the column that it is for;
//   - a name without schema is a common table expression in scope;
//   - what may be compared or aggregated raw stands where the permit has it, see predicate.go and verify_cells.go: what a
//     comparison and an aggregate are is told by the functions that the compiler asks, where they are is not;
//   - what could be a masked column of a target stands inside its own mask, or in a granted lookup.
type verifier struct {
	masks map[access.Name]*maskedRelation
	trees *Masks                       // for its parsed masks
	items map[access.ColumnID]*pg.Node // expected columns of subqueries
	finds map[*pg.SubLink]*valueFinder // see storing
	why   string
	// unclear is what it objects to where that is a name by itself, which could be a masked column of a target. The compiler
	// writes what it is a column of before it, where that has a name.
	unclear string
	// celled are references to forms for whole cells that stand where they may.
	celled map[*pg.ColumnRef]bool
}

// reach is what names can mean at one place of a statement.
type reach struct {
	ctes    []string
	targets []verifiedTarget
}

// verifiedTarget is a written relation with masked columns and the name it goes by.
type verifiedTarget struct {
	m    *maskedRelation
	name string
}

func (v *verifier) object(format string, args ...any) {
	if v.why == "" {
		v.why = fmt.Sprintf(format, args...)
	}
}

// visit checks a message and everything below it.
func (v *verifier) visit(m protoreflect.Message, r reach) {
	if !m.IsValid() || v.why != "" {
		return
	}
	switch n := m.Interface().(type) {
	case *pg.SelectStmt:
		v.cells(n)
		v.children(m, v.with(n.WithClause, r), "with_clause")
	case *pg.InsertStmt:
		r = v.with(n.WithClause, r)
		in := v.target(n.Relation, r)
		v.storingInsert(n)
		v.children(m, r, "with_clause", "relation", "on_conflict_clause", "returning_list")
		v.only(m, in, "on_conflict_clause", "returning_list")
		v.returning(n.ReturningList, in, r)
	case *pg.UpdateStmt:
		r = v.with(n.WithClause, r)
		in := v.target(n.Relation, r)
		v.storingAll(n.Relation, n.TargetList)
		v.only(m, r, "from_clause")
		v.children(m, in, "with_clause", "relation", "from_clause")
		v.returning(n.ReturningList, in, r)
	case *pg.DeleteStmt:
		r = v.with(n.WithClause, r)
		in := v.target(n.Relation, r)
		v.only(m, r, "using_clause")
		v.children(m, in, "with_clause", "relation", "using_clause")
		v.returning(n.ReturningList, in, r)
	case *pg.MergeStmt:
		r = v.with(n.WithClause, r)
		in := v.target(n.Relation, r)
		v.storingMerge(n)
		v.only(m, r, "source_relation")
		v.children(m, in, "with_clause", "relation", "source_relation")
	case *pg.InferClause: // compared with index definitions, never evaluated
	case *pg.CopyStmt:
		if n.Relation != nil {
			if in := v.target(n.Relation, r); len(in.targets) > len(r.targets) && !n.IsFrom {
				v.object("COPY of a masked relation")
			}
		}
		v.children(m, r, "relation")
	case *pg.TruncateStmt:
		v.targets(n.Relations, r)
	case *pg.LockStmt:
		v.targets(n.Relations, r)
	case *pg.LockingClause: // names of FROM items
	case *pg.RangeSubselect:
		if !v.isMask(n) {
			v.children(m, r)
		}
	case *pg.RangeVar:
		v.relation(n, r)
	case *pg.TypeCast:
		if !v.isTargetMask(n, r) {
			v.children(m, r)
		}
	case *pg.SubLink:
		if !v.isResolution(n) {
			v.children(m, r)
		}
	case *pg.A_Expr:
		if !v.isLookup(n, r) {
			v.children(m, r)
		}
	case *pg.ColumnRef:
		if v.hidden(n) {
			v.object("%s outside of its place", strings.Join(parts(n), "."))
		}
		v.column(n, r)
	case *pg.A_Indirection:
		for _, i := range n.Indirection {
			if second(i.GetString_().GetSval()) {
				v.object("a field of a whole row that is not the client's")
			}
		}
		v.children(m, r)
	default:
		v.children(m, r)
	}
}

// children visits all fields but those named.
func (v *verifier) children(m protoreflect.Message, r reach, without ...string) {
	m.Range(func(fd protoreflect.FieldDescriptor, val protoreflect.Value) bool {
		if fd.Message() != nil && !slices.Contains(without, string(fd.Name())) {
			v.field(fd, val, r)
		}
		return true
	})
}

// only visits the fields named.
func (v *verifier) only(m protoreflect.Message, r reach, names ...string) {
	for _, name := range names {
		fd := m.Descriptor().Fields().ByName(protoreflect.Name(name))
		if fd == nil {
			v.object("no field %s", name)
			return
		}
		if m.Has(fd) {
			v.field(fd, m.Get(fd), r)
		}
	}
}

func (v *verifier) field(fd protoreflect.FieldDescriptor, val protoreflect.Value, r reach) {
	if !fd.IsList() {
		v.visit(val.Message(), r)
		return
	}
	for l, i := val.List(), 0; i < l.Len(); i++ {
		v.visit(l.Get(i).Message(), r)
	}
}

// with visits common table expressions, each seeing those before it (all, if recursive), and gives
// the reach with all of them.
func (v *verifier) with(w *pg.WithClause, r reach) reach {
	if w == nil {
		return r
	}
	all := reach{ctes: slices.Clone(r.ctes), targets: r.targets}
	for _, n := range w.Ctes {
		all.ctes = append(all.ctes, n.GetCommonTableExpr().GetCtename())
	}
	for i, n := range w.Ctes {
		seen := all
		if !w.Recursive {
			seen.ctes = all.ctes[:len(r.ctes)+i]
		}
		v.visit(n.ProtoReflect(), seen)
	}
	return all
}

// target checks the name of a written relation and adds it to the reach if it has masked columns.
func (v *verifier) target(rv *pg.RangeVar, r reach) reach {
	if rv == nil {
		return r
	}
	if rv.Schemaname == "" {
		v.object("target %s without schema", rv.Relname)
		return r
	}
	m := v.masks[access.Name{Schema: rv.Schemaname, Name: rv.Relname}]
	if m == nil {
		return r
	}
	name := rv.Relname
	if rv.Alias != nil {
		name = rv.Alias.Aliasname
	}
	return reach{ctes: r.ctes, targets: append(slices.Clone(r.targets), verifiedTarget{m, name})}
}

func (v *verifier) targets(ns []*pg.Node, r reach) {
	for _, n := range ns {
		v.target(n.GetRangeVar(), r)
	}
}

// returning objects to a bare star that covers a masked target.
func (v *verifier) returning(list []*pg.Node, in, outer reach) {
	for _, n := range list {
		f := n.GetResTarget().GetVal().GetColumnRef().GetFields()
		if len(f) == 1 && f[0].GetAStar() != nil && len(in.targets) > len(outer.targets) {
			v.object("RETURNING * of a masked target")
		}
	}
}

// relation checks a relation name that is read.
func (v *verifier) relation(rv *pg.RangeVar, r reach) {
	switch {
	case rv.Schemaname == "" && slices.Contains(r.ctes, rv.Relname):
	case rv.Schemaname == "" && rv.Relpersistence == "t": // a temporary table to be made
	case rv.Schemaname == "":
		v.object("relation %s without schema", rv.Relname)
	case v.masks[access.Name{Schema: rv.Schemaname, Name: rv.Relname}] != nil:
		v.object("relation %s.%s outside its mask", rv.Schemaname, rv.Relname)
	}
}
