package postgres

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// scope is one query level: the server's ParseState. Names are looked up in its items, then in its
// parent's, as parse_relation.c does.
type scope struct {
	parent *scope
	items  []*item
	ctes   []*cte
	// lateral is true while a LATERAL item is analysed: items to its left may then be seen.
	lateral bool
	windows []*pg.Node // WINDOW clause
	hides   bool       // an aliased join has members that are not among items
	// decides gathers the columns that decide which rows this level gives.
	decides []int32
}

// item is something that FROM brings in: the server's ParseNamespaceItem.
type item struct {
	name string // alias or relation name, "" for an unnamed join or subquery
	// ref is the catalog relation, where the item is one. Its columns are then looked up in place,
	// under the names of aliases first.
	ref     *pgtree.Ref
	base    int32
	aliases []string
	// cols are the columns of any other item.
	cols []column
	// open is set when the columns are not all known (a function that returns some row): a qualified
	// name is then taken as a column of it, with the value rest.
	open bool
	rest value

	relVisible, colsVisible bool
	// lateralOnly hides the item from what is not LATERAL; lateralOK is false where even a LATERAL
	// reference is an error.
	lateralOnly, lateralOK bool
	excluded               bool // EXCLUDED of ON CONFLICT
	decides                []int32
}

// column is a column of an item or of a result.
type column struct {
	name string
	ref  *pgtree.Ref // the catalog relation that it is a column of, directly
	col  string      // its name there
	value
}

// result is what a query gives.
type result struct {
	cols    []column
	open    bool // columns are not all known
	rest    value
	decides []int32
}

// all is what a whole row of the result depends on.
func (r result) all() value {
	v := value{src: r.rest.src}
	for _, c := range r.cols {
		v.src = union(v.src, c.src)
	}
	return v
}

func newScope(parent *scope) *scope { return &scope{parent: parent} }

// sees says whether the level may look at it now.
func (s *scope) sees(it *item) bool { return !it.lateralOnly || s.lateral }

// width is the number of columns of it.
func (it *item) width() int {
	if it.ref != nil {
		return len(it.ref.Relation.Columns)
	}
	return len(it.cols)
}

// at gives column i of it.
func (it *item) at(a *analyzer, i int) column {
	if it.ref == nil {
		return it.cols[i]
	}
	c := &it.ref.Relation.Columns[i]
	out := column{name: c.Name, ref: it.ref, col: c.Name, value: value{src: a.cols.one(it.base + int32(i)), plain: true, typ: exprType(c.TypeOID)}}
	if i < len(it.aliases) {
		out.name = it.aliases[i]
	}
	if rel := a.rowType(c.TypeOID); rel != nil {
		out.row = fields(rel, out.src)
	}
	return out
}

// columns gives all columns of it.
func (it *item) columns(a *analyzer) []column {
	if it.ref == nil {
		return it.cols
	}
	out := make([]column, it.width())
	for i := range out {
		out[i] = it.at(a, i)
	}
	return out
}

// find looks a column up by its name in it. Two of that name are an error, as at the server.
func (it *item) find(a *analyzer, name string, loc int32) (column, bool) {
	a.spend(it.width() + 1)
	found := -1
	if it.ref != nil {
		for i := range it.ref.Relation.Columns {
			n := it.ref.Relation.Columns[i].Name
			if i < len(it.aliases) {
				n = it.aliases[i]
			}
			if n == name {
				if found >= 0 {
					a.ambiguous(loc, name)
				}
				found = i
			}
		}
	} else {
		for i := range it.cols {
			if it.cols[i].name == name {
				if found >= 0 {
					a.ambiguous(loc, name)
				}
				found = i
			}
		}
	}
	if found >= 0 {
		return it.at(a, found), true
	}
	if it.ref != nil && systemColumn(it.ref.Relation, name) {
		return column{name: name, ref: it.ref, col: name, value: value{typ: someBuiltin}}, true
	}
	return column{}, false
}

// systemColumn says whether rel has the system column name. They hold no data of a row.
func systemColumn(rel *access.Relation, name string) bool {
	switch rel.Kind {
	case access.Table, access.Partitioned, access.MatView, access.ForeignTable, access.Sequence:
	default:
		return false
	}
	switch name {
	case "ctid", "xmin", "cmin", "xmax", "cmax", "tableoid":
		return true
	}
	return false
}

func (a *analyzer) ambiguous(loc int32, name string) {
	a.fail(loc, "42702", "column reference %q is ambiguous", name)
}

// lookup finds an unqualified column at the innermost level that has it: colNameToVar. An item whose
// columns are not all known is tried last, after all levels: taking the outer, known column is the
// side on which masking in place errs towards masking.
func (a *analyzer) lookup(sc *scope, name string, loc int32, localOnly bool) (column, *item, bool) {
	var open *item
	for s := sc; s != nil; s = s.parent {
		var hit column
		var from *item
		for _, it := range s.items {
			if !it.colsVisible || !s.sees(it) {
				continue
			}
			if it.open && open == nil && s == sc {
				open = it
			}
			if c, ok := it.find(a, name, loc); ok {
				if from != nil {
					a.ambiguous(loc, name)
				}
				a.checkLateral(it, loc)
				hit, from = c, it
			}
		}
		if from != nil {
			return hit, from, true
		}
		if localOnly {
			break
		}
	}
	if open != nil {
		return column{name: name, value: value{src: open.rest.src}}, open, true
	}
	return column{}, nil, false
}

// lookupItem finds an item by its name: scanNameSpaceForRefname, level by level.
func (a *analyzer) lookupItem(sc *scope, schema, name string, loc int32) *item {
	var rel *access.Relation
	if schema != "" {
		if rel = a.env.Catalog.Relations[access.Name{Schema: schema, Name: name}]; rel == nil {
			return nil
		}
	}
	for s := sc; s != nil; s = s.parent {
		var hit *item
		a.spend(len(s.items))
		for _, it := range s.items {
			if !it.relVisible || !s.sees(it) {
				continue
			}
			if rel != nil {
				if it.ref == nil || it.ref.HasAlias || it.ref.Relation != rel || it.excluded {
					continue
				}
			} else if it.name != name {
				continue
			}
			if hit != nil {
				a.fail(loc, "42P09", "table reference %q is ambiguous", name)
			}
			a.checkLateral(it, loc)
			hit = it
		}
		if hit != nil {
			return hit
		}
	}
	return nil
}

func (a *analyzer) checkLateral(it *item, loc int32) {
	if it.lateralOnly && !it.lateralOK {
		a.fail(loc, "42P10", "invalid reference to FROM-clause entry for table %q", it.name)
	}
}

// mark records that value v is used at level sc.
func (a *analyzer) mark(sc *scope, v value, use access.Use) {
	a.cols.mark(v.src, use)
	if use&deciding != 0 && sc != nil {
		sc.decides = union(sc.decides, v.src)
	}
}
