package upstream

import "sallyport/internal/access"

// object is an entry of a system catalog, as pg_depend names it.
type object struct {
	class string
	oid   uint32
}

// codeGraph says which functions stand behind an object. The server notes in pg_depend what an
// expression refers to; what initdb made is not noted, so only the database's own users' objects are.
type codeGraph struct {
	edges     map[object][]object
	functions map[uint32]access.Name
	types     map[uint32]*access.Type
	rels      map[access.Name]*access.Relation
}

// code finds the functions that the server calls by itself: in defaults, constraints, indexes, conditions
// of triggers, partition keys and domains.
func (l *loader) code() error {
	g := codeGraph{edges: map[object][]object{}, functions: map[uint32]access.Name{}, types: l.cat.TypeByOID, rels: l.cat.Relations}
	if err := l.codeEdges(&g); err != nil {
		return err
	}
	if err := l.each(`select p.oid, n.nspname::text, p.proname::text from pg_catalog.pg_proc p
		join pg_catalog.pg_namespace n on n.oid = p.pronamespace where p.oid >= 16384`,
		func(scan func(...any) error) error {
			var oid uint32
			var f access.Name
			err := scan(&oid, &f.Schema, &f.Name)
			g.functions[oid] = f
			return err
		}); err != nil {
		return err
	}
	for oid, t := range l.cat.TypeByOID {
		if oid >= 16384 {
			t.Calls = g.calls(nil, access.Call{By: access.ByDomain, Name: t.Name.String()}, object{"pg_type", oid})
		}
	}
	for oid, r := range l.byOID {
		r.Calls = g.calls(r.Calls, access.Call{By: access.ByPartitionKey}, g.edgesOtherThan(object{"pg_class", oid}, "pg_type")...)
		for _, c := range r.Columns {
			r.Calls = g.calls(r.Calls, access.Call{By: access.ByType, Name: c.Name}, object{"pg_type", c.TypeOID})
		}
	}
	if err := l.codeOwners(&g); err != nil {
		return err
	}
	return l.each(`
		select distinct c.opcintype, n.nspname::text, p.proname::text
		from pg_catalog.pg_opclass c
		join pg_catalog.pg_am a on a.oid = c.opcmethod and a.amname in ('btree', 'hash')
		join (select amprocfamily, amproc::oid from pg_catalog.pg_amproc
		      union select m.amopfamily, o.oprcode::oid from pg_catalog.pg_amop m join pg_catalog.pg_operator o on o.oid = m.amopopr) f (family, function)
		  on f.family = c.opcfamily
		join pg_catalog.pg_proc p on p.oid = f.function
		join pg_catalog.pg_namespace n on n.oid = p.pronamespace
		where c.opcdefault and p.oid >= 16384 order by 1, 2, 3`,
		func(scan func(...any) error) error {
			var c access.OperatorClass
			err := scan(&c.Type, &c.Function.Schema, &c.Function.Name)
			l.cat.Classes = append(l.cat.Classes, c)
			return err
		})
}

// codeEdges reads what depends on what.
func (l *loader) codeEdges(g *codeGraph) error {
	return l.each(`
		select d.classid::regclass::text, d.objid, d.refclassid::regclass::text, d.refobjid
		from pg_catalog.pg_depend d
		where d.refobjid >= 16384 and d.deptype in ('n','a','i')
		  and d.classid in ('pg_catalog.pg_attrdef'::regclass, 'pg_catalog.pg_constraint'::regclass, 'pg_catalog.pg_class'::regclass,
		      'pg_catalog.pg_trigger'::regclass, 'pg_catalog.pg_type'::regclass)
		  and d.refclassid in ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass, 'pg_catalog.pg_opclass'::regclass, 'pg_catalog.pg_type'::regclass)
		union all
		select 'pg_type', c.contypid, 'pg_constraint', c.oid from pg_catalog.pg_constraint c where c.contypid <> 0
		union all
		select 'pg_operator', o.oid, 'pg_proc', o.oprcode::oid from pg_catalog.pg_operator o where o.oid >= 16384
		union all
		select 'pg_opclass', c.oid, 'pg_proc', p.amproc::oid from pg_catalog.pg_opclass c
		join pg_catalog.pg_amproc p on p.amprocfamily = c.opcfamily where p.amproc::oid >= 16384
		union all
		select 'pg_opclass', c.oid, 'pg_proc', o.oprcode::oid from pg_catalog.pg_opclass c
		join pg_catalog.pg_amop m on m.amopfamily = c.opcfamily join pg_catalog.pg_operator o on o.oid = m.amopopr where o.oprcode::oid >= 16384
		order by 1, 2, 3, 4`,
		func(scan func(...any) error) error {
			var from, to object
			err := scan(&from.class, &from.oid, &to.class, &to.oid)
			g.edges[from] = append(g.edges[from], to)
			return err
		})
}

// codeOwners gives each relation the calls of what belongs to it. A trigger's own function is not among
// them: the relation's Triggers have it.
func (l *loader) codeOwners(g *codeGraph) error {
	return l.each(`
		select 'pg_attrdef', f.oid, f.adrelid, case when a.attgenerated <> '' then 'generated column' else 'default of column' end, a.attname::text, 0::oid
		from pg_catalog.pg_attrdef f join pg_catalog.pg_attribute a on a.attrelid = f.adrelid and a.attnum = f.adnum
		union all
		select 'pg_constraint', c.oid, c.conrelid, 'constraint', c.conname, 0 from pg_catalog.pg_constraint c where c.conrelid <> 0
		union all
		select 'pg_class', i.indexrelid, i.indrelid, 'index', c.relname, 0
		from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid where i.indexrelid >= 16384
		union all
		select 'pg_trigger', t.oid, t.tgrelid, 'trigger', t.tgname, t.tgfoid
		from pg_catalog.pg_trigger t where not t.tgisinternal and t.tgenabled <> 'D'
		order by 3, 1, 4, 5`,
		func(scan func(...any) error) error {
			var o object
			var rel, own uint32
			var call access.Call
			if err := scan(&o.class, &o.oid, &rel, &call.By, &call.Name, &own); err != nil {
				return err
			}
			if r := l.byOID[rel]; r != nil {
				var from []object
				for _, e := range g.edges[o] {
					if e != (object{"pg_proc", own}) {
						from = append(from, e)
					}
				}
				r.Calls = g.calls(r.Calls, call, from...)
			}
			return nil
		})
}

func (g *codeGraph) edgesOtherThan(o object, class string) []object {
	var out []object
	for _, e := range g.edges[o] {
		if e.class != class {
			out = append(out, e)
		}
	}
	return out
}

// calls adds every function that can be reached from some objects; call says what calls them.
func (g *codeGraph) calls(out []access.Call, call access.Call, from ...object) []access.Call {
	seen := map[object]bool{}
	for len(from) > 0 {
		o := from[0]
		from = from[1:]
		if seen[o] {
			continue
		}
		seen[o] = true
		if o.class == "pg_proc" {
			if f, ok := g.functions[o.oid]; ok {
				call.Function = f
				out = append(out, call)
			}
			continue
		}
		if o.class == "pg_type" {
			t := g.types[o.oid]
			switch {
			case t == nil:
				continue
			case t.Kind == 'c': // the types of its fields
				if r := g.rels[t.Relation]; r != nil {
					for _, c := range r.Columns {
						from = append(from, object{"pg_type", c.TypeOID})
					}
				}
				continue
			case t.Kind == 'b' && t.Category != 'A':
				continue // its input and output functions are in C: only a superuser can have made them
			}
		}
		from = append(from, g.edges[o]...)
	}
	return out
}
