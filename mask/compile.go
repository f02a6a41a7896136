package mask

import (
	"fmt"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// Input is a resolved statement with the decision on it.
type Input struct {
	Tree     *pgtree.Tree // changed in place; parse again to compile it for somebody else
	Facts    *access.Facts
	Catalog  *access.Catalog
	Labels   *Labels
	Masks    *Masks
	Decision access.Decision
}

// Compiled is the statement to run instead of the original.
type Compiled struct {
	SQL     string
	Applied []access.MaskApplied // masked columns of the relations that the statement touches
	// OutputMasks lists, for each of Facts.Outputs, the masks that its value went through.
	OutputMasks [][]access.MaskApplied
	// Guarded are the parameters that must not hold a masked value, see Guarded.Refuse.
	Guarded []Guarded
	// Probes are the guesses at masked values that running it answers.
	Probes Probes
	// Copied is nil, or how the tokens in the rows of a COPY are to be resolved.
	Copied *CopiedTokens
	// Resolved are the columns in which it looks for the values of tokens that it stores.
	Resolved []access.TokenSource
	// Rounded is true for EXPLAIN whose estimates have to be rounded before they are shown, see RoundEstimates.
	Rounded bool
}

// Compile turns a statement into one that reads masked values only, with every name qualified. The
// steps, each in a file of its own:
//
//   - check    refuse what would store or act on masked values     (stores.go)
//   - finders  know where the values of tokens are that are stored  (tokenvalue.go)
//   - sentinels refuse what would store the masked form of a value (sentinel.go)
//   - lookups  move granted equalities below the mask               (lookup.go)
//   - predicates the same for comparisons                        (predicate.go)
//   - raw uses lead granted ORDER BY and GROUP BY to the raw column (rawuses.go)
//   - cells    lead granted aggregates to whole cells           (cells.go)
//   - shape    COPY, EXPLAIN, RETURNING take a maskable shape        (statement.go, returning.go)
//   - rewrite  relations become subqueries, columns of targets masks (rewrite.go)
//   - deparse, parse again, verify; what names nothing runs as it is (written.go, verify.go)
//
// Errors are *access.Error: 42501 for what a masked principal may not do, 0A000 for what the
// compiler cannot do, XX000 when the result does not verify. Nothing may be run then.
func Compile(in Input) (Compiled, error) {
	c, err := newCompiler(in)
	if err != nil {
		return Compiled{}, err
	}
	if asWritten(in.Tree.Stmt) {
		return Compiled{SQL: in.Tree.SQL, OutputMasks: c.outputs()}, nil
	}
	if err := writable(in.Tree.Stmt); err != nil {
		return Compiled{}, err
	}
	c.noteNames()
	steps := []func() error{c.checkStores, c.finders, c.sentinels, c.compared, c.lookups, c.predicates, c.aggregates, c.rawUses, c.statement, c.withhold, c.dependencies, c.rewrite, c.keepNames}
	for _, step := range steps {
		if err := step(); err != nil {
			return Compiled{}, err
		}
	}
	sql, err := c.deparse()
	if err != nil {
		return Compiled{}, err
	}
	return Compiled{SQL: sql, Applied: c.applied(), OutputMasks: c.outputs(), Guarded: c.guarded, Probes: c.probes, Copied: c.copied, Resolved: c.resolved(), Rounded: c.rounded}, nil
}

// compiler is one run of Compile.
type compiler struct {
	in Input
	// masks has the masked columns by relation; a relation without any is absent.
	masks map[access.Name]*maskedRelation
	// alias has the unique names given to references whose own name would clash.
	alias map[*pgtree.Ref]string
	// pushed has the conditions that moved below the mask of a reference.
	pushed map[*pgtree.Ref][]*pg.Node
	// raw has the references that a granted lookup compares unmasked, of a target or below a mask.
	raw map[*pg.ColumnRef]bool
	// keep has the column references that are not evaluated (ON CONFLICT inference).
	keep map[*pg.ColumnRef]bool
	// names are the column names that select-list items have before the rewriting.
	names map[*pg.ResTarget]string
	uses  uses
	// writes is true when a target has masked columns.
	writes bool
	// guarded are parameters that are stored in masked columns.
	guarded []Guarded
	probes  Probes
	rounded bool
	// cell has the references to forms of columns for whole cells, celled those forms by reference.
	cell   map[*pg.ColumnRef]bool
	celled map[*pgtree.Ref][]string
	// rawed has the columns that the subquery of a reference shows raw for ORDER BY and GROUP BY.
	rawed map[*pgtree.Ref][]string
	// found has the expressions that find the value of a token, or of a parameter that may be one, for one column.
	found  map[*pg.Node]bool
	copied *CopiedTokens
	// forms are those of all labelled columns by name, documents those of columns that take documents; see documentGuard.
	forms     map[string][]sentinel
	documents map[access.ColumnID]*documentForms
	finds     map[access.ColumnID]bool // columns that values of tokens are looked for
}

// maskedRelation is a relation of which at least one column is masked, or some rows are hidden.
type maskedRelation struct {
	rel          *access.Relation
	cols         map[string]Transform
	exprs        map[string]string // SQL over colRef
	lookup       map[string]bool
	cells        map[string]access.AggregateColumn
	predicate    map[string]bool
	order, group map[string]bool
	// filters are conditions in SQL that the rows of the relation have to meet.
	filters []string
	// view is true for a view that is read by its body, which is what stands for it in FROM then.
	view bool
	body *pg.Node
	// sentinels are the forms of what stands for the columns' values, for whoever sees them masked.
	sentinels map[string]sentinel
	// types are the types, in SQL, of columns with tokens.
	types map[string]string
	// finders find the values of tokens that are assigned to columns.
	finders map[string]*valueFinder
}

func newCompiler(in Input) (*compiler, error) {
	if in.Tree == nil || in.Tree.Stmt == nil || in.Facts == nil || in.Catalog == nil || in.Labels == nil {
		return nil, internal("compile without a resolved statement")
	}
	if in.Decision.Effect != access.Allow {
		return nil, internal("compile without permission")
	}
	c := &compiler{
		in: in, masks: map[access.Name]*maskedRelation{}, alias: map[*pgtree.Ref]string{},
		pushed: map[*pgtree.Ref][]*pg.Node{}, raw: map[*pg.ColumnRef]bool{}, keep: map[*pg.ColumnRef]bool{},
		names: map[*pg.ResTarget]string{}, cell: map[*pg.ColumnRef]bool{}, celled: map[*pgtree.Ref][]string{}, rawed: map[*pgtree.Ref][]string{}, found: map[*pg.Node]bool{}, finds: map[access.ColumnID]bool{},
	}
	for _, id := range in.Decision.Masked {
		rel := in.Catalog.Relations[id.Relation]
		if rel == nil {
			return nil, internal("masked column of an unknown relation")
		}
		col := rel.Column(id.Column)
		if col == nil {
			return nil, internal("masked column that is not in the catalog")
		}
		m := c.relation(rel)
		t := in.Masks.For(col, in.Catalog, in.Labels.Columns(id.Relation)[id.Column], in.Labels.Derived(id.Relation, id.Column))
		if s, ok := newSentinel(in.Catalog, id, col, t); ok {
			m.sentinels[id.Column] = s
		}
		if slices.Contains(in.Decision.Writable, id) {
			t = t.ForWriter()
		}
		m.cols[id.Column] = t
		m.exprs[id.Column] = t.expression(shapeOf(in.Catalog, col))
		if t.Kind == Token {
			m.types[id.Column] = tokenType(in.Catalog, col)
		}
	}
	for _, id := range in.Decision.Lookup {
		if m := c.masks[id.Relation]; m != nil {
			m.lookup[id.Column] = true
		}
	}
	for _, id := range in.Decision.Order {
		if m := c.masks[id.Relation]; m != nil {
			m.order[id.Column] = true
		}
	}
	for _, id := range in.Decision.Group {
		if m := c.masks[id.Relation]; m != nil {
			m.group[id.Column] = true
		}
	}
	for _, id := range in.Decision.Predicate {
		if m := c.masks[id.Relation]; m != nil {
			m.predicate[id.Column] = true
		}
	}
	for _, a := range in.Decision.Aggregate {
		if m := c.masks[a.Column.Relation]; m != nil && m.exprs[a.Column.Column] != "" {
			m.cells[a.Column.Column] = a
		}
	}
	for _, f := range in.Decision.Filters {
		rel := in.Catalog.Relations[f.Relation]
		if rel == nil {
			return nil, internal("a row filter of an unknown relation")
		}
		m := c.relation(rel)
		m.filters = append(m.filters, f.Condition)
	}
	if err := c.inlined(); err != nil {
		return nil, err
	}
	for rv, ref := range in.Tree.Refs {
		if why := in.Labels.Refused(ref.Relation.Name); why != "" {
			return nil, denied(fmt.Sprintf("%s cannot be used with masks: %s", ref.Relation.Name, why), "query the relations that it reads instead")
		}
		if ref.Var == rv {
			c.writes = c.writes || ref.Target && c.masks[ref.Relation.Name] != nil
			c.clash(ref)
		}
	}
	return c, nil
}

// relation gives what is known about the masks of a relation, and begins it.
func (c *compiler) relation(rel *access.Relation) *maskedRelation {
	m := c.masks[rel.Name]
	if m == nil {
		m = &maskedRelation{rel: rel, cols: map[string]Transform{}, exprs: map[string]string{}, lookup: map[string]bool{}, predicate: map[string]bool{}, order: map[string]bool{}, group: map[string]bool{},
			cells: map[string]access.AggregateColumn{}, sentinels: map[string]sentinel{}, types: map[string]string{}, finders: map[string]*valueFinder{}}
		c.masks[rel.Name] = m
	}
	return m
}

// clash finds references that would clash as subqueries: two relations of the same name in different
// schemas may stand in one FROM list without an alias, two subqueries of one alias may not. And one that goes by the name
// of a target could be taken for it, by the verifier.
func (c *compiler) clash(ref *pgtree.Ref) {
	if ref.Target || c.masks[ref.Relation.Name] == nil {
		return
	}
	for _, other := range c.in.Tree.Refs {
		if other == ref || other.Alias != ref.Alias {
			continue
		}
		if other.Target && c.masked(other) != nil || !ref.HasAlias && !other.HasAlias && other.Relation != ref.Relation {
			c.alias[ref] = c.unused(fmt.Sprintf("%s_%s", cut(ref.Relation.Name.Schema, 20), cut(ref.Alias, 40)))
			return
		}
	}
}

// unused gives name, or one like it that nothing in the statement goes by.
func (c *compiler) unused(name string) string {
	used := map[string]bool{}
	walkNode(c.in.Tree.Stmt, func(n any) bool {
		switch n := n.(type) {
		case *pg.RangeVar:
			used[n.Relname] = true
		case *pg.Alias:
			used[n.Aliasname] = true
		case *pg.CommonTableExpr:
			used[n.Ctename] = true
		}
		return true
	})
	for used[name] {
		name += "_"
	}
	return name
}

// cut shortens a name to n bytes, so that the server does not.
func cut(s string, n int) string {
	for len(s) > n {
		_, size := lastRune(s)
		s = s[:len(s)-size]
	}
	return s
}

// masked gives the masks of a reference's relation, or nil.
func (c *compiler) masked(ref *pgtree.Ref) *maskedRelation {
	if ref == nil {
		return nil
	}
	return c.masks[ref.Relation.Name]
}

func (c *compiler) applied() []access.MaskApplied {
	var out []access.MaskApplied
	for _, id := range c.in.Decision.Masked {
		out = append(out, c.apply(id))
	}
	return out
}

func (c *compiler) resolved() (out []access.TokenSource) {
	for _, r := range c.in.Decision.Resolve {
		if c.finds[r.Target] {
			out = append(out, r)
		}
	}
	return out
}

func (c *compiler) apply(id access.ColumnID) access.MaskApplied {
	t := c.masks[id.Relation].cols[id.Column]
	return access.MaskApplied{Column: id.Relation.String() + "." + id.Column, Label: t.Label, Transform: t.String()}
}

func (c *compiler) outputs() [][]access.MaskApplied {
	out := make([][]access.MaskApplied, len(c.in.Facts.Outputs))
	for i, o := range c.in.Facts.Outputs {
		for _, id := range o.Sources {
			if m := c.masks[id.Relation]; m != nil {
				if _, ok := m.cols[id.Column]; ok {
					out[i] = append(out[i], c.apply(id))
				}
			}
		}
	}
	return out
}
