package sqlguard

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/access"
	"sallyport/sqlguard/policy"
	"sallyport/sqlguard/registry"
)

// isCatalog reports whether a schema belongs to the server.
func isCatalog(schema string) bool {
	return schema == "pg_catalog" || schema == "information_schema" || schema == "pg_toast"
}

// relations judges every relation that the statement touches.
func (j *judge) relations() *access.Decision {
	for _, use := range j.in.Facts.Relations {
		if isCatalog(use.Name.Schema) {
			if d := j.catalogRelation(use); d != nil {
				return d
			}
			continue
		}
		rel := j.in.Catalog.Relations[use.Name]
		if rel == nil {
			return j.no(fmt.Sprintf("relation %s is not known", use.Name), "if it is new, try again in a moment")
		}
		if why := j.in.Refused(use.Name); why != "" && j.maskedPrincipal() {
			return j.no(fmt.Sprintf("%s is not available to principals with masked columns: %s", use.Name, why),
				"use the tables that it is made from, where each column is masked by itself")
		}
		var d *access.Decision
		switch use.Action {
		case access.ActRead:
			d = j.columns(use, rel, access.UseOutput|access.UsePredicate|access.UseOrder|access.UseGroup|access.UseStore)
		case access.ActWrite:
			if d = j.columns(use, rel, access.UseWrite); d == nil {
				d = j.effects(rel)
			}
			if d == nil && use.Every {
				d = j.everyRow(use)
			}
		case access.ActDDL:
			d = j.need(access.ActDDL, policy.Table(j.in.Connection, use.Name), "changing the definition of "+use.Name.String())
		default:
			d = j.no(fmt.Sprintf("%q on %s is not known", use.Action, use.Name), "")
		}
		if d == nil && j.locks(use) {
			d = j.need(access.ActWrite, policy.Table(j.in.Connection, use.Name), "locking rows of "+use.Name.String())
		}
		if d != nil {
			return carriedBy(use, d)
		}
	}
	return nil
}

// carriedBy explains a denial of a write that the statement does not spell out.
func carriedBy(use access.RelationUse, d *access.Decision) *access.Decision {
	if use.By != "" {
		d.Message += fmt.Sprintf("; foreign key %s carries the change to %s", use.By, use.Name)
	}
	return d
}

// catalogRelation needs no permission where the registry calls a relation open, and there is none to
// be had otherwise: what pg_stats, pg_stat_activity and their like hold is nobody's metadata.
func (j *judge) catalogRelation(use access.RelationUse) *access.Decision {
	if use.Action != access.ActRead {
		return j.unsupported("changing " + use.Name.String())
	}
	switch class, hidden, _ := registry.ClassOfRelation(use.Name.Schema, use.Name.Name); class {
	case registry.Open:
		if hidden != "" && (use.Whole || slices.ContainsFunc(use.Columns, func(c access.ColumnUse) bool { return c.Name == hidden })) {
			return j.no(fmt.Sprintf("reading column %s of %s is not available through the gateway", hidden, use.Name),
				"the other columns are: name those that you need")
		}
		if j.locks(use) {
			return j.unsupported("locking " + use.Name.String())
		}
		return nil // mask.Compile withholds columns that tell of values or settings
	case registry.Data:
		return j.unsupported("reading " + use.Name.String() + ", which holds data and statistics of others,")
	default:
		return j.unsupported("reading " + use.Name.String())
	}
}

// locks reports whether a read takes row locks. LOCK itself appears as a use of its own.
func (j *judge) locks(use access.RelationUse) bool {
	return j.in.Facts.Locks && !use.Unlocked && use.Action == access.ActRead && use.Verb != "lock" &&
		!slices.ContainsFunc(j.in.Facts.Relations, func(r access.RelationUse) bool { return r.Verb == "lock" })
}

var verbs = map[access.Action]string{access.ActRead: "reading", access.ActWrite: "writing"}

// columns asks for each column used in one of the given ways, or for the relation where none is:
// count(*), DELETE, TRUNCATE. What is refused is named together.
func (j *judge) columns(use access.RelationUse, rel *access.Relation, uses access.Use) *access.Decision {
	if use.Verb == "truncate cascade" {
		// It empties whatever refers to the table, by foreign keys that may be newer than the catalog snapshot.
		d := j.unsupported("TRUNCATE ... CASCADE")
		d.Hint = "name every table: TRUNCATE " + use.Name.Name + ", ..."
		return d
	}
	var wanted []string
	for _, c := range use.Columns {
		if c.Use&uses != 0 || c.Use == 0 {
			wanted = append(wanted, c.Name)
		}
	}
	if use.Whole {
		wanted = wanted[:0]
		for _, c := range rel.Columns {
			wanted = append(wanted, c.Name)
		}
	}
	if len(wanted) == 0 {
		return j.need(use.Action, policy.Table(j.in.Connection, use.Name), verbs[use.Action]+" "+use.Name.String())
	}
	// A policy about the relation itself (resource == Table::"...") speaks of all its columns: a forbid
	// of it forbids them, a permit of it permits those that nothing forbids.
	whole := j.ask.Is(use.Action, policy.Table(j.in.Connection, use.Name))
	if !whole.Allowed && !whole.Limited && len(whole.Policies) > 0 {
		return j.refuse(whole, use.Action, policy.Table(j.in.Connection, use.Name), verbs[use.Action]+" "+use.Name.String())
	}
	labels := j.in.Labels(use.Name)
	var refused []string
	var first *access.Decision
	for _, c := range wanted {
		column := policy.Column(j.in.Connection, use.Name, c, labels[c])
		v := j.ask.Is(use.Action, column)
		j.asked = true
		if !v.Allowed && len(v.Policies) == 0 {
			v = whole // what policies say of the column comes first
		}
		if v.Allowed {
			j.grant(v)
			continue
		}
		d := j.refuse(v, use.Action, column, verbs[use.Action]+" "+use.Name.String()+"."+c)
		refused = append(refused, c)
		if first == nil {
			first = d
		}
	}
	if first == nil {
		return nil
	}
	table := policy.Table(j.in.Connection, use.Name)
	switch {
	case len(first.Policies) > 0: // forbidden, or the token is not good for it: the message about the first says by what
	case len(refused) == len(wanted):
		first.Message = fmt.Sprintf("%s %s is not permitted for %s", verbs[use.Action], use.Name, j.in.Principal.Name)
		first.Hint = fmt.Sprintf("ask for %q on %s", use.Action, table)
	case len(refused) > 1:
		first.Message = fmt.Sprintf("%s the columns %s of %s is not permitted for %s", verbs[use.Action], some(refused), use.Name, j.in.Principal.Name)
		first.Hint += ", or leave these columns out"
	default:
		first.Hint += ", or leave this column out"
	}
	return first
}

// everyRow judges a write that may reach every row of a table.
func (j *judge) everyRow(use access.RelationUse) *access.Decision {
	what, instead := use.Verb+" of "+use.Name.String()+" without a WHERE that looks at its rows", "say which rows: WHERE with a column of "+use.Name.Name
	if use.Verb == "truncate" {
		what, instead = "truncate of "+use.Name.String(), "delete the rows that have to go, with a WHERE"
	}
	table := policy.Table(j.in.Connection, use.Name)
	d := j.need(access.ActWriteAll, table, what)
	if d != nil && len(d.Policies) == 0 {
		d.Hint = fmt.Sprintf("%s; or ask for %q on %s", instead, access.ActWriteAll, table)
	}
	return d
}

// effects judges the code that a write sets off: triggers of the relation and of those below it
// (rows of a partitioned table land there) need the same permission as calling their functions.
func (j *judge) effects(rel *access.Relation) *access.Decision {
	if rel.Kind == access.View {
		// What it does to the tables below (triggers, defaults, constraints over masked columns) is not followed.
		return j.unsupported(fmt.Sprintf("writing through the view %s", rel.Name))
	}
	for _, r := range j.in.Catalog.Below(rel) {
		if r.Rules {
			return j.unsupported(fmt.Sprintf("writing %s, which has rewrite rules,", r.Name))
		}
		for _, f := range r.Triggers {
			if f.Schema == "pg_catalog" {
				continue // the server's own: constraints, tsvector_update_trigger
			}
			if d := j.need(access.ActCall, j.function(f), fmt.Sprintf("writing %s calls trigger function %s, which", r.Name, f)); d != nil {
				return d
			}
		}
	}
	return nil
}

// hintTemporary says what to do without temporary tables.
const hintTemporary = "use WITH name AS (...) within one statement, or a table in a schema where you are permitted \"ddl\""

// objects judges the targets of DDL.
func (j *judge) objects() *access.Decision {
	on := j.in.Connection
	for _, o := range j.in.Facts.Objects {
		if isCatalog(o.Name.Schema) {
			return j.unsupported("changing " + o.Name.String())
		}
		if strings.HasPrefix(o.Name.Schema, "pg_temp") {
			// It would come before the relation that the same name is judged as.
			return j.no("temporary relations and functions are not available through the gateway", hintTemporary)
		}
		what := fmt.Sprintf("changing %s %s", o.Kind, o.Name)
		if o.Name.Schema == "" {
			what = fmt.Sprintf("changing %s %s", o.Kind, o.Name.Name)
		}
		r := policy.Connection(on)
		switch o.Kind {
		case "table", "view", "materialized view", "sequence", "index", "foreign table", "type", "domain", "trigger", "statistics",
			"relation": // one that IF EXISTS speaks of and the catalog does not have
			r = policy.Table(on, o.Name)
			if o.Name.Schema == "" {
				r = policy.Connection(on)
			}
		case "function", "procedure", "routine":
			r = policy.Function(on, o.Name)
		case "schema":
			name := o.Name.Name
			if name == "" {
				name = o.Name.Schema
			}
			r = policy.Schema(on, name)
		}
		if d := j.need(access.ActDDL, r, what); d != nil {
			return d
		}
	}
	return nil
}

// some lists a few names.
func some(names []string) string {
	if len(names) > 5 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:5], ", "), len(names)-5)
	}
	return strings.Join(names, ", ")
}
