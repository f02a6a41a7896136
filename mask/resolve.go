package mask

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sort"
	"strings"

	"sallyport/internal/access"
)

// Resolve gives every column of the catalog its labels. The order matters, each step builds on the
// ones before:
//
//  1. rules of the configuration, `@label name` in column comments, and the labels file
//  2. generated columns over labelled ones (derived)
//  3. partition and inheritance trees: children and parents share labels by column name, in both
//     directions, since a parent's rows are its children's
//  4. columns whose type is a row type of a relation with labelled columns (derived)
//  5. columns that nobody has judged, where there is a labels file; then 2 to 4 again
//  6. partitioned tables whose key is labelled are refused
//  7. views and materialised views by the lineage of their definition, in dependency order
//
// A problem never makes a column visible. lineage is postgres.ViewLineage, handed in because leaves
// do not import each other.
func Resolve(cat *access.Catalog, conn string, rules []access.LabelRule, judged *access.Judgements,
	lineage func(*access.Relation) (outputs []access.Output, decides []access.ColumnID, err error)) (*Labels, []Problem) {
	r := &resolver{cat: cat, lineage: lineage, labels: &Labels{rels: map[access.Name]*relation{}, reads: map[access.Name][]access.Name{}}, done: map[access.Name]bool{}}
	for _, name := range slices.SortedFunc(maps.Keys(cat.Relations), func(a, b access.Name) int { return strings.Compare(a.String(), b.String()) }) {
		if !system(name) {
			r.names = append(r.names, name)
		}
	}
	for _, rule := range rules {
		if len(rule.Connections) == 0 || slices.Contains(rule.Connections, conn) {
			r.rule(rule)
		}
	}
	r.comments()
	if judged != nil {
		r.judged(judged)
	}
	r.spread()
	r.unjudged(judged)
	r.partitions()
	for _, name := range r.names {
		r.view(name)
	}
	if len(r.ahead) > 0 {
		r.problems = append(r.problems, Problem{Message: "there is no column yet for the label rules " + strings.Join(r.ahead, ", "),
			Hint: "they hold for columns of those names that are to come; check their spelling", Safe: true})
	}
	sort.SliceStable(r.problems, func(i, j int) bool { return r.problems[i].String() < r.problems[j].String() })
	return r.labels, r.problems
}

// spread labels what is made of labelled columns.
func (r *resolver) spread() {
	for changed := true; changed; {
		changed = r.generated()
		changed = r.inherited() || changed
		changed = r.rowTypes() || changed
	}
}

// resolver holds what Resolve works on.
type resolver struct {
	cat      *access.Catalog
	lineage  func(*access.Relation) ([]access.Output, []access.ColumnID, error)
	names    []access.Name // all but the server's own, sorted
	labels   *Labels
	problems []Problem
	ahead    []string             // patterns for any table that match no column, quoted
	done     map[access.Name]bool // views that were looked at
}

// system relations hold no labels: the guard's registry says which of them may be read at all.
func system(n access.Name) bool {
	return n.Schema == "pg_catalog" || n.Schema == "information_schema" || n.Schema == "pg_toast"
}

func (r *resolver) rule(rule access.LabelRule) {
	for _, pattern := range rule.Columns {
		parts := strings.Split(strings.ToLower(pattern), ".")
		if len(parts) > 3 || slices.Contains(parts, "") || rule.Label == "" {
			r.problem(rule.Source, fmt.Sprintf("label rule %q cannot match", pattern), "write schema.table.column, with * and ? as wildcards")
			continue
		}
		for len(parts) < 3 {
			parts = append([]string{"*"}, parts...)
		}
		found := false
		for _, name := range r.names {
			if !match(parts[0], name.Schema) || !match(parts[1], name.Name) {
				continue
			}
			for _, col := range r.cat.Relations[name].Columns {
				if match(parts[2], col.Name) {
					found = true
					r.labels.add(name, col.Name, rule.Label, orDefault(rule.Source, "rule")+" "+pattern, false)
				}
			}
		}
		switch {
		case found:
		case parts[0] == "*" && parts[1] == "*": // a precaution, like those of the starter; a table that is named and not there is a mistake
			r.ahead = append(r.ahead, fmt.Sprintf("%q", pattern))
		default:
			r.problem(rule.Source, fmt.Sprintf("label rule %q matches no column", pattern), "check the names, or remove the rule")
		}
	}
}

// match compares a pattern with * and ? to a name. Upper and lower case are one: a rule that is
// meant for "Email" should not miss it.
func match(pattern, name string) bool {
	name = strings.ToLower(name)
	p, n, star, mark := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p++
			n++
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

var commentLabel = regexp.MustCompile(`@label[ \t]+([A-Za-z0-9_][A-Za-z0-9_.-]*)`)

func (r *resolver) comments() {
	for _, name := range r.names {
		for _, col := range r.cat.Relations[name].Columns {
			for _, m := range commentLabel.FindAllStringSubmatch(col.Comment, -1) {
				label := access.Label(strings.TrimRight(m[1], ".-"))
				r.labels.add(name, col.Name, label, "comment on column "+name.String()+"."+col.Name, false)
			}
		}
	}
}

// inherited shares labels between each parent and child once; Resolve repeats it to a fixed point.
func (r *resolver) inherited() bool {
	changed := false
	for _, name := range r.names {
		for _, parent := range r.cat.Relations[name].Parents {
			changed = r.share(name, parent) || changed
			changed = r.share(parent, name) || changed
		}
	}
	return changed
}

func (r *resolver) share(from, to access.Name) bool {
	src, rel := r.labels.rels[from], r.cat.Relations[to]
	if src == nil || rel == nil {
		return false
	}
	changed := false
	for _, col := range rel.Columns {
		if c := src.cols[col.Name]; c != nil {
			for _, l := range c.labels {
				changed = r.labels.add(to, col.Name, l, "shared with "+from.String(), c.derived) || changed
			}
		}
	}
	return changed
}

// rowTypes labels columns that hold whole rows of a relation with labelled columns.
func (r *resolver) rowTypes() bool {
	changed := false
	for _, name := range r.names {
		for _, col := range r.cat.Relations[name].Columns {
			inner := r.rowType(col.TypeOID)
			if inner == nil || inner.Relation == name || r.labels.rels[inner.Relation] == nil {
				continue
			}
			for _, c := range r.labels.rels[inner.Relation].cols {
				for _, l := range c.labels {
					changed = r.labels.add(name, col.Name, l, "holds rows of "+inner.Relation.String(), true) || changed
				}
			}
		}
	}
	return changed
}

// rowType gives the composite type behind a type, through domains and arrays, or nil.
func (r *resolver) rowType(oid uint32) *access.Type {
	for range maxDomains {
		t := userType(r.cat, oid)
		switch {
		case t == nil:
			return nil
		case t.Kind == 'c':
			return t
		case t.Kind == 'd':
			oid = t.Base
		case t.Elem != 0:
			oid = t.Elem
		default:
			return nil
		}
	}
	return nil
}

func (r *resolver) problem(source, msg, hint string) {
	r.problems = append(r.problems, Problem{Source: source, Message: msg, Hint: hint})
}

func orDefault(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
