package postgres

import (
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
)

// exprType is what is known for sure of an expression's type: its OID, or one of the following. It serves to tell
// which casts cannot be meant; whoever does not know says anyType.
type exprType uint32

const (
	anyType     exprType = 0
	someBuiltin exprType = 1   // a type of pg_catalog, which is not known
	boolean     exprType = 16  // pg_type.dat
	untyped     exprType = 705 // a literal or NULL, which is read as whatever type is asked for
)

func (t exprType) builtin() bool { return t != anyType && t < firstUserOID }

// settled is the type of a literal that nobody asked a type of: text.
func (t exprType) settled() exprType {
	if t == untyped {
		return someBuiltin
	}
	return t
}

// common is the type that the server finds for several values of which one is taken: select_common_type.
func common(x, y exprType) exprType {
	switch {
	case x == y || y == untyped:
		return x
	case x == untyped:
		return y
	case x.builtin() && y.builtin():
		return someBuiltin
	}
	return anyType
}

// computed is the type of what a built-in computes of values: where all of theirs are of pg_catalog, its is too.
func computed(ts ...exprType) exprType {
	for _, t := range ts {
		if !t.builtin() {
			return anyType
		}
	}
	return someBuiltin
}

func constType(c *pg.A_Const) exprType {
	switch c.Val.(type) {
	case *pg.A_Const_Sval:
		return untyped
	case *pg.A_Const_Boolval:
		return boolean
	case *pg.A_Const_Ival, *pg.A_Const_Fval, *pg.A_Const_Bsval:
		return someBuiltin
	}
	if c.Isnull {
		return untyped
	}
	return anyType
}

// paramType is that of a parameter. One that is written once takes the type that is asked for there; one that is
// written again has the type of its first place. Types of the database's own users that a client declares, and that can
// be cast by code, never come here: the gateway refuses them.
func (a *analyzer) paramType(p *pg.ParamRef) exprType {
	if len(a.env.Catalog.Casts) == 0 {
		return anyType // nobody asks
	}
	if fn := a.env.within; fn != nil {
		if n := int(p.Number); n >= 1 && n <= len(fn.ArgTypes) {
			if t := a.env.Catalog.TypeByOID[fn.ArgTypes[n-1]]; t != nil && t.Kind != 'p' {
				return exprType(t.OID)
			}
		}
		return anyType
	}
	name, n := "$"+strconv.Itoa(int(p.Number)), 0
	for rest := a.t.SQL; ; {
		i := strings.Index(rest, name)
		if i < 0 {
			break
		}
		if rest = rest[i+len(name):]; rest == "" || rest[0] < '0' || rest[0] > '9' {
			n++
		}
	}
	if n > 1 {
		return anyType
	}
	return someBuiltin
}

// polymorphicOperators are the built-in ones whose result is of their operands' type. TestPolymorphicOperators
// keeps it true.
const polymorphicOperators = " || + - * "

// operatorType is the type of what an operator gives. One of the database's own users counts wherever it is.
func (a *analyzer) operatorType(name []*pg.Node, l, r value) exprType {
	parts := text(name)
	op := parts[len(parts)-1]
	if len(a.env.Catalog.Operators[op]) > 0 {
		return anyType
	}
	if strings.Contains(polymorphicOperators, " "+op+" ") {
		return computed(l.typ, r.typ)
	}
	return someBuiltin
}

// exprsType is the type of an operator expression.
func (a *analyzer) exprsType(e *pg.A_Expr, l, r value) exprType {
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_OP, pg.A_Expr_Kind_AEXPR_LIKE, pg.A_Expr_Kind_AEXPR_ILIKE, pg.A_Expr_Kind_AEXPR_SIMILAR:
		return a.operatorType(e.Name, l, r)
	case pg.A_Expr_Kind_AEXPR_NULLIF:
		return computed(l.typ, r.typ)
	}
	return boolean
}

// callType is the type of what a call gives.
func (a *analyzer) callType(cands []candidate, args exprType) exprType {
	if a.env.Catalog.Polymorphic == nil {
		return anyType
	}
	t := untyped
	for _, c := range cands {
		one := anyType
		switch {
		case c.fn != nil:
			if r := a.env.Catalog.TypeByOID[c.fn.ReturnType]; r != nil && r.Kind != 'p' {
				one = exprType(r.OID)
			}
		case c.use.Builtin && a.env.Catalog.Polymorphic[c.use.Name.Name]:
			one = args
		case c.use.Builtin:
			one = someBuiltin
		}
		t = common(t, one)
	}
	return t.settled()
}

// castable reports whether a cast from source may be what converts a value of type t: its own, that of its elements,
// or that of the type below a domain (find_coercion_pathway).
func (a *analyzer) castable(t exprType, source uint32) bool {
	switch t {
	case anyType:
		return true
	case untyped:
		return false
	case someBuiltin:
		return source < firstUserOID
	}
	for oid := uint32(t); ; {
		if oid == source {
			return true
		}
		is := a.env.Catalog.TypeByOID[oid]
		switch {
		case is == nil:
			return oid >= firstUserOID || source < firstUserOID
		case is.Kind == 'd':
			oid = is.Base
		case is.Category == 'A':
			oid = is.Elem
		default:
			return false
		}
	}
}

// cast records what an explicit cast of a value of type from to a type can call.
func (a *analyzer) cast(ref typeRef, name string, from exprType) {
	if ref.user == nil {
		if ref.builtin {
			a.builtinCasts(name, from)
		}
		return
	}
	a.userType(ref.user, from)
	if from == untyped || len(a.env.Catalog.Casts) == 0 {
		return
	}
	made := map[uint32]exprType{}
	a.madeOf(made, ref.user.OID, from)
	for _, c := range a.env.Catalog.Casts {
		if of, ok := made[c.Target]; ok && c.Function.Name != "" && a.castable(of, c.Source) {
			a.use(access.FunctionUse{Name: c.Function})
		}
	}
}

// madeOf adds a type and all that a cast to it may cast to below it, each with the type of what is cast: the base of a
// domain, the elements of an array, the fields of a composite type, to which a row is cast one by one.
func (a *analyzer) madeOf(out map[uint32]exprType, oid uint32, from exprType) {
	t, before := a.env.Catalog.TypeByOID[oid], out[oid]
	if _, ok := out[oid]; ok && (before == from || before == anyType) {
		return
	} else if ok {
		from = anyType // in two places of one type
	}
	out[oid] = from
	switch {
	case t == nil:
	case t.Kind == 'd':
		a.madeOf(out, t.Base, from)
	case t.Category == 'A':
		a.madeOf(out, t.Elem, from)
	case t.Kind == 'c':
		if rel := a.env.Catalog.Relations[t.Relation]; rel != nil {
			for i := range rel.Columns {
				a.madeOf(out, rel.Columns[i].TypeOID, anyType)
			}
		}
	}
}

// builtinCasts records the user-defined functions that cast a value of type from to a built-in type.
func (a *analyzer) builtinCasts(name string, from exprType) {
	for _, c := range a.env.Catalog.Casts {
		if t := a.env.Catalog.TypeByOID[c.Target]; c.Target < firstUserOID && (t == nil || t.Name.Name == strings.TrimPrefix(name, "_")) &&
			a.castable(from, c.Source) {
			a.use(access.FunctionUse{Name: c.Function})
		}
	}
}
