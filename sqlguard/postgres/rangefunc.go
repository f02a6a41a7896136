package postgres

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
)

// rangeFunction is a function in FROM, or several in ROWS FROM. It may always look to its left.
func (a *analyzer) rangeFunction(sc *scope, r *pg.RangeFunction) *item {
	was := sc.lateral
	sc.lateral = true
	var res result
	for _, n := range r.Functions {
		pair := n.GetList().GetItems()
		if len(pair) == 0 {
			a.unknown("a function in FROM", n.GetNode())
		}
		defs := r.Coldeflist
		if len(pair) > 1 && len(pair[1].GetList().GetItems()) > 0 {
			defs = pair[1].GetList().GetItems()
		}
		one := a.tableFunction(sc, pair[0], defs, r)
		res.cols = append(res.cols, one.cols...)
		res.open = res.open || one.open
		res.rest = join(res.rest, one.rest)
		// How many rows it gives depends on its arguments.
		res.decides = union(res.decides, one.all().src)
	}
	sc.lateral = was
	if r.Ordinality {
		res.cols = append(res.cols, column{name: "ordinality"})
	}
	name := r.Alias.GetAliasname()
	if name == "" && len(r.Functions) > 0 {
		name = columnName(r.Functions[0].GetList().GetItems()[0]) // the server names it after the first function
	}
	a.cols.mark(res.decides, access.UsePredicate)
	return a.resultItem(name, text(r.Alias.GetColnames()), res)
}

// tableFunction analyses one function in FROM and finds its columns: from the column definition list,
// from what the function is known to return, or one column named after it or the alias.
func (a *analyzer) tableFunction(sc *scope, fn *pg.Node, defs []*pg.Node, r *pg.RangeFunction) result {
	v := a.expr(sc, fn, access.UsePredicate)
	src := value{src: v.src, typ: v.typ}
	if len(defs) > 0 {
		return result{cols: a.columnDefs(defs, src)}
	}
	scalar := columnName(fn)
	if r.Alias != nil && len(r.Functions) == 1 {
		scalar = r.Alias.Aliasname
	}
	call := fn.GetFuncCall()
	if call == nil { // current_date and its like
		return result{cols: []column{{name: scalar, value: src}}}
	}
	parts := text(call.Funcname)
	names, shape := a.resultColumns(a.functions(parts, call.Location))
	if parts[len(parts)-1] == "unnest" && len(call.Args) > 1 {
		names, shape = make([]string, len(call.Args)), rowShape
		for i := range names {
			names[i] = "unnest"
		}
	}
	switch shape {
	case rowShape:
		var res result
		src.typ = anyType
		for _, n := range names {
			res.cols = append(res.cols, column{name: n, value: src})
		}
		return res
	case scalarShape:
		return result{cols: []column{{name: scalar, value: src}}}
	}
	// Some row, or some value: both names may be used.
	return result{cols: []column{{name: scalar, value: src}}, open: true, rest: src.of(anyType)}
}

func (a *analyzer) columnDefs(defs []*pg.Node, v value) []column {
	var out []column
	for _, n := range defs {
		d := n.GetColumnDef()
		if d == nil {
			a.unknown("a column definition", n.GetNode())
		}
		v.typ = a.typeName(d.TypeName).exprType()
		out = append(out, column{name: d.Colname, value: v})
	}
	return out
}

// rangeTableFunc is XMLTABLE.
func (a *analyzer) rangeTableFunc(sc *scope, r *pg.RangeTableFunc) *item {
	was := sc.lateral
	sc.lateral = true
	v := join(a.where(sc, r.Docexpr), a.where(sc, r.Rowexpr), a.resTargets(sc, r.Namespaces, access.UsePredicate))
	var res result
	for _, n := range r.Columns {
		c := n.GetRangeTableFuncCol()
		if c == nil {
			a.unknown("XMLTABLE", n.GetNode())
		}
		a.typeName(c.TypeName)
		cv := join(a.where(sc, c.Colexpr), a.where(sc, c.Coldefexpr), v)
		res.cols = append(res.cols, column{name: c.Colname, value: cv})
	}
	if len(r.Columns) == 0 {
		res.cols = []column{{name: "xmltable", value: v}}
	}
	sc.lateral = was
	res.decides = v.src
	name := r.Alias.GetAliasname()
	if name == "" {
		name = "xmltable"
	}
	return a.resultItem(name, text(r.Alias.GetColnames()), res)
}

// shape says what a function gives in FROM.
type shape uint8

const (
	unknownShape shape = iota // a row or a value, it depends on the types of the arguments
	scalarShape
	rowShape
)

// resultColumns finds the columns that the candidates of a call have as a table.
func (a *analyzer) resultColumns(cands []candidate) ([]string, shape) {
	if len(cands) == 0 {
		return nil, unknownShape
	}
	var names []string
	kind := unknownShape
	for i, c := range cands {
		n, k := a.candidateColumns(c)
		if i > 0 && (k != kind || !equal(n, names)) {
			return nil, unknownShape
		}
		names, kind = n, k
	}
	return names, kind
}

func (a *analyzer) candidateColumns(c candidate) ([]string, shape) {
	if c.fn == nil {
		if c.use.Builtin {
			return builtinColumns(c.use.Name.Name)
		}
		return nil, unknownShape
	}
	if n := c.fn.OutNames; len(n) > 1 || len(n) == 1 && n[0] != "" {
		return n, rowShape // a single one names the column, whatever the alias
	}
	if rel := a.rowType(c.fn.ReturnType); rel != nil {
		var names []string
		for i := range rel.Columns {
			names = append(names, rel.Columns[i].Name)
		}
		return names, rowShape
	}
	if t := a.env.Catalog.TypeByOID[c.fn.ReturnType]; t != nil && t.Kind != 'p' && t.Kind != 'c' && t.Kind != 'd' {
		return nil, scalarShape
	}
	return nil, unknownShape
}

func equal(x, y []string) bool {
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if x[i] != y[i] {
			return false
		}
	}
	return true
}
