package sqlguard

import (
	"fmt"

	"sallyport/internal/access"
	"sallyport/sqlguard/policy"
	"sallyport/sqlguard/registry"
)

// call judges a function of the database's own users: by the permission to call it or, where nothing forbids it and no
// permit is for another definition of it, by what its body does.
func (j *judge) call(f access.FunctionUse) *access.Decision {
	what := "calling " + f.Name.String()
	if f.By != "" {
		what += " (" + f.By + ")"
	}
	r := j.function(f.Name)
	v := j.ask.Is(access.ActCall, r)
	j.asked = true
	if v.Allowed {
		j.grant(v)
		return nil
	}
	d := j.refuse(v, access.ActCall, r, what)
	if class := j.in.Facts.Class; class != access.ClassRead && class != access.ClassWrite {
		return d // definitions are computed with a search_path of the server's own
	}
	if f.Body == nil || v.Err != nil || len(v.Policies)+len(v.Outdated) > 0 {
		return d
	}
	why, known := j.bodies[f.Body]
	if !known {
		why = j.body(f.Body)
		j.bodies[f.Body] = why
	}
	if why == "" {
		return nil
	}
	d.Message += "; its body " + why
	return d
}

// body says why the principal could not run a body's statements themselves, or "". Masks and row filters do not reach
// into bodies, so one that reads anything of which the principal sees a part only is none of those.
func (j *judge) body(f *access.Facts) string {
	for _, use := range f.Relations {
		rel := j.in.Catalog.Relations[use.Name]
		switch {
		case isCatalog(use.Name.Schema): // mask.Compile withholds columns of some
			return "reads the system relation " + use.Name.String()
		case rel == nil || use.Action != access.ActRead:
			return "does more than reading"
		case j.in.Refused(use.Name) != "":
			return "reads " + use.Name.String() + ", which cannot be masked"
		}
		if why := j.partly(rel); why != "" {
			return why
		}
		if d := j.columns(use, rel, access.UseOutput|access.UsePredicate|access.UseOrder|access.UseGroup|access.UseStore); d != nil {
			return "reads " + use.Name.String() + ": " + d.Message
		}
	}
	for _, id := range f.RowSecurity {
		if j.hides(id, access.ActReveal) {
			return fmt.Sprintf("reads rows that are chosen by the masked column %s of %s", id.Column, id.Relation)
		}
	}
	for _, fn := range f.Functions {
		if d := j.calledBelow(fn); d != nil {
			return "calls " + fn.Name.String() + ": " + d.Message
		}
	}
	return ""
}

// calledBelow judges a function that a body calls. Of built-ins those that only compute are allowed.
func (j *judge) calledBelow(f access.FunctionUse) *access.Decision {
	switch {
	case f.Builtin && f.Class != registry.Pure && f.Class != registry.Volatile:
		return j.no("it does more than computing", "")
	case f.Builtin:
		return j.builtin(f)
	case f.Class == registry.Pure || f.Class == registry.Volatile: // of a known extension
		return nil
	}
	return j.call(f)
}

// partly says of which relation a read shows the principal a part only, or "": of its own, of those that it shares rows
// with, of those that a view reads.
func (j *judge) partly(rel *access.Relation) string {
	all := family(j.in.Catalog, rel)
	if rel.Kind == access.View || rel.Kind == access.MatView {
		if j.in.Reads == nil {
			return "reads " + rel.Name.String() + ", of which it is not known what it reads"
		}
		for _, name := range j.in.Reads(rel.Name) {
			if r := j.in.Catalog.Relations[name]; r != nil {
				all = append(all, family(j.in.Catalog, r)...)
			}
		}
	}
	for _, r := range all {
		labels := j.in.Labels(r.Name)
		for _, c := range r.Columns {
			if id := (access.ColumnID{Relation: r.Name, Column: c.Name}); len(labels[c.Name]) > 0 && j.hides(id, access.ActReveal) {
				return fmt.Sprintf("reads %s, of which %s is masked for %s", r.Name, c.Name, j.in.Principal.Name)
			}
		}
		if j.hidden(r) {
			return fmt.Sprintf("reads %s, of which %s sees some rows only", r.Name, j.in.Principal.Name)
		}
	}
	return ""
}

// function is a function outside pg_catalog with its definition.
func (j *judge) function(name access.Name) policy.Resource {
	return policy.Function(j.in.Connection, name).Defined(j.in.Catalog.Definition(name))
}
