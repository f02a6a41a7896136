package upstream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgdsn"
)

// Snapshot reads the catalog of a database in one repeatable-read transaction. It sees what the
// gateway's own role may see; temporary schemas of other sessions are left out.
func Snapshot(ctx context.Context, name, dsn string) (*access.Catalog, error) {
	cfg, err := pgx.ParseConfig(pgdsn.Secured(dsn))
	if err != nil {
		return nil, pgdsn.Malformed(err)
	}
	// An empty search_path makes the server qualify every name that it prints.
	cfg.RuntimeParams["search_path"] = ""
	cfg.RuntimeParams["application_name"] = "sallyport catalog"
	// pg_get_viewdef and its kin lock what they print. Give way before the server looks for deadlocks
	// (deadlock_timeout, 1 s): somebody's DDL goes first, and the snapshot is tried again.
	cfg.RuntimeParams["lock_timeout"] = "200ms"
	ctx, cancel := context.WithTimeout(ctx, 6*DialTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, dialError(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, dialError(err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	cat := &access.Catalog{Connection: name, Schemas: map[string]bool{}, Relations: map[access.Name]*access.Relation{},
		Functions: map[access.Name][]*access.Function{}, Operators: map[string][]*access.Operator{},
		Types: map[access.Name]*access.Type{}, TypeByOID: map[uint32]*access.Type{}}
	l := loader{ctx: ctx, tx: tx, cat: cat, byOID: map[uint32]*access.Relation{}}
	for _, step := range []func() error{l.server, l.schemas, l.relations, l.columns, l.parents, l.partitions, l.constraints, l.indexes,
		l.triggers, l.functions, l.operators, l.types, l.casts, l.polymorphic, l.code} {
		if err := step(); err != nil {
			var ae *access.Error
			if errors.As(err, &ae) {
				return nil, err
			}
			return nil, &access.Error{Kind: access.Unavailable, Code: "08006", Message: "the database's catalog cannot be read",
				Hint: "the gateway's role needs no more than the public catalog; the operator's log has the cause", Err: err}
		}
	}
	cat.Version, err = version(cat)
	return cat, err
}

// version is a digest over everything in the snapshot; maps are marshalled in key order.
func version(cat *access.Catalog) (string, error) {
	relations := make(map[string]*access.Relation, len(cat.Relations))
	for n, r := range cat.Relations {
		relations[n.String()] = r
	}
	functions := make(map[string][]*access.Function, len(cat.Functions))
	for n, f := range cat.Functions {
		functions[n.String()] = f
	}
	types := make(map[string]*access.Type, len(cat.Types))
	for n, t := range cat.Types {
		types[n.String()] = t
	}
	text, err := json.Marshal([]any{cat.Connection, cat.Database, cat.ServerVersion, cat.Schemas, relations, functions, cat.Operators, types, cat.Casts, cat.Classes})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8]), nil
}

type loader struct {
	ctx   context.Context
	tx    pgx.Tx
	cat   *access.Catalog
	byOID map[uint32]*access.Relation
}

// each runs sql and calls row for each row with a function that scans it.
func (l *loader) each(sql string, row func(scan func(...any) error) error) error {
	rows, err := l.tx.Query(l.ctx, sql)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (l *loader) server() error {
	var num string
	if err := l.tx.QueryRow(l.ctx, `select current_database(), current_setting('server_version_num')`).Scan(&l.cat.Database, &num); err != nil {
		return err
	}
	n, err := strconv.Atoi(num)
	l.cat.ServerVersion = n
	return err
}

func (l *loader) schemas() error {
	return l.each(`select nspname::text from pg_catalog.pg_namespace where nspname !~ '^pg_(temp|toast)'`,
		func(scan func(...any) error) error {
			var s string
			err := scan(&s)
			l.cat.Schemas[s] = true
			return err
		})
}

func (l *loader) relations() error {
	return l.each(`
		select c.oid, n.nspname::text, c.relname::text, c.relkind::text,
		       case when c.relkind in ('v','m') and n.nspname not in ('pg_catalog','information_schema')
		            then coalesce(pg_catalog.pg_get_viewdef(c.oid), '') else '' end,
		       coalesce(d.description, ''), c.relrowsecurity,
		       c.relrowsecurity and pg_catalog.row_security_active(c.oid),
		       array(select pg_catalog.pg_get_expr(e, p.polrelid) from pg_catalog.pg_policy p, lateral (values (p.polqual), (p.polwithcheck)) v(e)
		             where p.polrelid = c.oid and e is not null order by p.polname, 1),
		       exists (select from pg_catalog.pg_rewrite r where r.ev_class = c.oid and r.rulename <> '_RETURN')
		from pg_catalog.pg_class c
		join pg_catalog.pg_namespace n on n.oid = c.relnamespace
		left join pg_catalog.pg_description d on d.objoid = c.oid and d.classoid = 'pg_catalog.pg_class'::regclass and d.objsubid = 0
		where c.relkind in ('r','p','v','m','f','S','c') and n.nspname !~ '^pg_(temp|toast)'`,
		func(scan func(...any) error) error {
			r := &access.Relation{}
			var kind string
			if err := scan(&r.OID, &r.Name.Schema, &r.Name.Name, &kind, &r.Definition, &r.Comment, &r.RowSecurity, &r.Secured, &r.Policies, &r.Rules); err != nil {
				return err
			}
			r.Kind = access.RelationKind(kind[0])
			l.byOID[r.OID] = r
			l.cat.Relations[r.Name] = r
			return nil
		})
}

func (l *loader) columns() error {
	return l.each(`
		select a.attrelid, a.attnum, a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), a.atttypid,
		       a.attnotnull, coalesce(d.description, ''), coalesce(pg_catalog.pg_get_expr(f.adbin, f.adrelid), ''),
		       a.attgenerated <> '', a.attidentity <> ''
		from pg_catalog.pg_attribute a
		join pg_catalog.pg_class c on c.oid = a.attrelid
		join pg_catalog.pg_namespace n on n.oid = c.relnamespace
		left join pg_catalog.pg_attrdef f on f.adrelid = a.attrelid and f.adnum = a.attnum
		left join pg_catalog.pg_description d on d.objoid = a.attrelid and d.classoid = 'pg_catalog.pg_class'::regclass and d.objsubid = a.attnum
		     and n.nspname not in ('pg_catalog','information_schema')
		where a.attnum > 0 and not a.attisdropped and c.relkind in ('r','p','v','m','f','S','c') and n.nspname !~ '^pg_(temp|toast)'
		order by a.attrelid, a.attnum`,
		func(scan func(...any) error) error {
			var rel uint32
			var c access.Column
			if err := scan(&rel, &c.Num, &c.Name, &c.Type, &c.TypeOID, &c.NotNull, &c.Comment, &c.Default, &c.Generated, &c.Identity); err != nil {
				return err
			}
			if r := l.byOID[rel]; r != nil {
				r.Columns = append(r.Columns, c)
			}
			return nil
		})
}

func (l *loader) parents() error {
	return l.each(`select inhrelid, inhparent from pg_catalog.pg_inherits order by 1, inhseqno`,
		func(scan func(...any) error) error {
			var child, parent uint32
			if err := scan(&child, &parent); err != nil {
				return err
			}
			if c, p := l.byOID[child], l.byOID[parent]; c != nil && p != nil {
				c.Parents = append(c.Parents, p.Name)
			}
			return nil
		})
}

func (l *loader) partitions() error {
	return l.each(`
		select p.partrelid, p.partexprs is not null,
		       array(select a.attname::text from pg_catalog.pg_attribute a where a.attrelid = p.partrelid and a.attnum = any (p.partattrs::int2[]))
		from pg_catalog.pg_partitioned_table p`,
		func(scan func(...any) error) error {
			var rel uint32
			var expr bool
			var key []string
			if err := scan(&rel, &expr, &key); err != nil {
				return err
			}
			if r := l.byOID[rel]; r != nil {
				r.PartitionKey, r.PartitionExpr = key, expr
			}
			return nil
		})
}

func (l *loader) constraints() error {
	return l.each(`
		select c.conrelid, c.conname::text, c.contype::text,
		       array(select a.attname::text from pg_catalog.unnest(c.conkey) with ordinality k(num, i)
		             join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.num order by k.i),
		       c.confrelid, c.confdeltype::text, c.confupdtype::text,
		       array(select a.attname::text from pg_catalog.unnest(c.confkey) with ordinality k(num, i)
		             join pg_catalog.pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.num order by k.i)
		from pg_catalog.pg_constraint c where c.conrelid <> 0 and c.contype in ('c','f','p','u','x') order by 1, 2`,
		func(scan func(...any) error) error {
			var rel, referenced uint32
			var con access.Constraint
			var typ, onDelete, onUpdate string
			if err := scan(&rel, &con.Name, &typ, &con.Columns, &referenced, &onDelete, &onUpdate, &con.Keys); err != nil {
				return err
			}
			con.Type = typ[0]
			r, ref := l.byOID[rel], l.byOID[referenced]
			if r != nil && ref != nil {
				con.References = ref.Name
				ref.Referenced = append(ref.Referenced, access.Reference{Name: con.Name, By: r.Name, Columns: con.Columns, Keys: con.Keys,
					OnDelete: onDelete[0], OnUpdate: onUpdate[0]})
			}
			if r != nil {
				r.Constraints = append(r.Constraints, con)
			}
			return nil
		})
}

// indexes adds those that can fail without a constraint of their own: unique ones, and ones with
// expressions or a predicate, which look at every column that they depend on.
func (l *loader) indexes() error {
	return l.each(`
		select i.indrelid, c.relname::text, i.indisunique and i.indexprs is null and i.indpred is null,
		       array(select distinct a.attname::text from pg_catalog.pg_attribute a
		             where a.attrelid = i.indrelid and a.attnum > 0 and (a.attnum = any (i.indkey::int2[]) or exists (
		               select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = i.indexrelid
		                 and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = i.indrelid and d.refobjsubid = a.attnum)))
		from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
		where (i.indisunique or i.indexprs is not null or i.indpred is not null)
		  and not exists (select from pg_catalog.pg_constraint k where k.conindid = i.indexrelid and k.conrelid = i.indrelid)
		  and i.indrelid >= 16384 order by 1, 2`,
		func(scan func(...any) error) error {
			var rel uint32
			var plain bool
			con := access.Constraint{Type: 'i'}
			if err := scan(&rel, &con.Name, &plain, &con.Columns); err != nil {
				return err
			}
			if plain {
				con.Type = 'u'
			}
			if r := l.byOID[rel]; r != nil {
				r.Constraints = append(r.Constraints, con)
			}
			return nil
		})
}

func (l *loader) triggers() error {
	return l.each(`
		select t.tgrelid, n.nspname::text, p.proname::text
		from pg_catalog.pg_trigger t
		join pg_catalog.pg_proc p on p.oid = t.tgfoid
		join pg_catalog.pg_namespace n on n.oid = p.pronamespace
		where not t.tgisinternal and t.tgenabled <> 'D' order by t.tgrelid, t.tgname`,
		func(scan func(...any) error) error {
			var rel uint32
			var f access.Name
			if err := scan(&rel, &f.Schema, &f.Name); err != nil {
				return err
			}
			if r := l.byOID[rel]; r != nil {
				r.Triggers = append(r.Triggers, f)
			}
			return nil
		})
}

func (l *loader) functions() error {
	byOID, parts := map[uint32]*access.Function{}, map[*access.Function][]uint32{}
	err := l.each(`
		select p.oid, n.nspname::text, p.proname::text, pg_catalog.pg_get_function_identity_arguments(p.oid), l.lanname::text,
		       p.prokind::text, p.provolatile::text, p.prosecdef, p.proretset, p.prorettype, p.proargtypes::oid[],
		       coalesce(case when p.proargmodes is not null then
		         array(select coalesce(p.proargnames[i], '') from pg_catalog.generate_subscripts(p.proargmodes, 1) i where p.proargmodes[i] in ('o','b','t')) end, '{}'),
		       pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(
		         case when p.prokind in ('f','p','w') then pg_catalog.pg_get_functiondef(p.oid)
		              else coalesce((select row(g, p.oid::regprocedure)::text from pg_catalog.pg_aggregate g where g.aggfnoid = p.oid), '') end
		         || ' ' || pg_catalog.pg_get_userbyid(p.proowner), 'UTF8')), 'hex'),
		       array(select f from pg_catalog.pg_aggregate g, lateral (values (g.aggtransfn), (g.aggfinalfn), (g.aggcombinefn), (g.aggserialfn),
		         (g.aggdeserialfn), (g.aggmtransfn), (g.aggminvtransfn), (g.aggmfinalfn)) v(f) where g.aggfnoid = p.oid and f::oid >= 16384)::oid[],
		       coalesce((select e.extname::text from pg_catalog.pg_depend d join pg_catalog.pg_extension e on e.oid = d.refobjid
		         where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e' limit 1), ''),
		       coalesce(case when p.proargmodes is not null then
		         array(select p.proallargtypes[i] from pg_catalog.generate_subscripts(p.proargmodes, 1) i where p.proargmodes[i] in ('o','b','t')) end, '{}')::oid[],
		       coalesce(case when p.proargnames is null then '{}' else
		         array(select coalesce(p.proargnames[i], '') from pg_catalog.generate_subscripts(p.proargnames, 1) i where p.proargmodes is null or p.proargmodes[i] in ('i','b','v')) end, '{}'),
		       p.pronargdefaults > 0, coalesce(p.proconfig, '{}'), p.prosqlbody is not null,
		       case when l.lanname in ('sql', 'plpgsql') then coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc) else '' end
		from pg_catalog.pg_proc p
		join pg_catalog.pg_namespace n on n.oid = p.pronamespace
		join pg_catalog.pg_language l on l.oid = p.prolang
		where (n.nspname not in ('pg_catalog','information_schema') or p.oid >= 16384) and n.nspname !~ '^pg_(temp|toast)' order by p.oid`,
		func(scan func(...any) error) error {
			f := &access.Function{}
			var kind, volatility string
			var oid uint32
			var made []uint32
			if err := scan(&oid, &f.Name.Schema, &f.Name.Name, &f.Args, &f.Language, &kind, &volatility, &f.Security, &f.ReturnsSet,
				&f.ReturnType, &f.ArgTypes, &f.OutNames, &f.Digest, &made, &f.Extension,
				&f.OutTypes, &f.ArgNames, &f.Defaults, &f.Config, &f.Standard, &f.Source); err != nil {
				return err
			}
			f.Kind, f.Volatility = kind[0], volatility[0]
			l.cat.Functions[f.Name] = append(l.cat.Functions[f.Name], f)
			byOID[oid], parts[f] = f, made
			return nil
		})
	for f, made := range parts {
		for _, oid := range made {
			if part := byOID[oid]; part != nil {
				f.Parts = append(f.Parts, part.Name)
			}
		}
	}
	return err
}

// operators takes the functions of an operator's commutator and negator for its own too: the planner puts
// those in its place.
func (l *loader) operators() error {
	return l.each(`
		select distinct o.oid, n.nspname::text, o.oprname::text, fn.nspname::text, f.proname::text
		from pg_catalog.pg_operator o
		join pg_catalog.pg_namespace n on n.oid = o.oprnamespace
		join pg_catalog.pg_operator x on x.oid in (o.oid, o.oprcom, o.oprnegate)
		join pg_catalog.pg_proc f on f.oid = x.oprcode
		join pg_catalog.pg_namespace fn on fn.oid = f.pronamespace
		where (n.nspname <> 'pg_catalog' or o.oid >= 16384) and (x.oid = o.oid or f.oid >= 16384) order by 1, 4, 5`,
		func(scan func(...any) error) error {
			o := &access.Operator{}
			var oid uint32
			if err := scan(&oid, &o.Name.Schema, &o.Name.Name, &o.Function.Schema, &o.Function.Name); err != nil {
				return err
			}
			l.cat.Operators[o.Name.Name] = append(l.cat.Operators[o.Name.Name], o)
			return nil
		})
}

func (l *loader) types() error {
	return l.each(`
		select t.oid, n.nspname::text, t.typname::text, t.typtype::text, t.typcategory::text,
		       case when t.typelem <> 0 then t.typelem else coalesce((select g.rngsubtype from pg_catalog.pg_range g where t.oid in (g.rngtypid, g.rngmultitypid)), 0) end,
		       t.typbasetype,
		       case when t.typtype = 'd' then pg_catalog.format_type(t.typbasetype, t.typtypmod) else '' end, t.typnotnull,
		       exists (select from pg_catalog.pg_constraint c where c.contypid = t.oid and c.contype = 'c'),
		       array(select pg_catalog.pg_get_expr(c.conbin, 0) from pg_catalog.pg_constraint c
		         where c.contypid = t.oid and c.contype = 'c' and t.typcollation in (0, 'pg_catalog."default"'::regcollation) order by c.conname),
		       coalesce(rn.nspname::text, ''), coalesce(r.relname::text, ''),
		       coalesce((select e.extname::text from pg_catalog.pg_depend d join pg_catalog.pg_extension e on e.oid = d.refobjid
		         where d.classid = 'pg_catalog.pg_type'::regclass and d.objid = t.oid and d.deptype = 'e' limit 1), '')
		from pg_catalog.pg_type t
		join pg_catalog.pg_namespace n on n.oid = t.typnamespace
		left join pg_catalog.pg_class r on r.oid = t.typrelid
		left join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
		where n.nspname !~ '^pg_(temp|toast)'`,
		func(scan func(...any) error) error {
			t := &access.Type{}
			var kind, category string
			if err := scan(&t.OID, &t.Name.Schema, &t.Name.Name, &kind, &category, &t.Elem, &t.Base, &t.BaseType, &t.NotNull, &t.Checks, &t.CheckSQL,
				&t.Relation.Schema, &t.Relation.Name, &t.Extension); err != nil {
				return err
			}
			t.Kind, t.Category = kind[0], category[0]
			l.cat.TypeByOID[t.OID] = t
			if t.Name.Schema != "pg_catalog" {
				l.cat.Types[t.Name] = t
			}
			return nil
		})
}

func (l *loader) casts() error {
	return l.each(`
		select c.castsource, c.casttarget, c.castcontext::text, n.nspname::text, p.proname::text
		from pg_catalog.pg_cast c
		join pg_catalog.pg_proc p on p.oid = c.castfunc
		join pg_catalog.pg_namespace n on n.oid = p.pronamespace
		where n.nspname <> 'pg_catalog' or p.oid >= 16384 order by c.oid`,
		func(scan func(...any) error) error {
			var c access.Cast
			var context string
			if err := scan(&c.Source, &c.Target, &context, &c.Function.Schema, &c.Function.Name); err != nil {
				return err
			}
			c.Context = context[0]
			l.cat.Casts = append(l.cat.Casts, c)
			return nil
		})
}

// polymorphic is not part of the version: it changes with the server only.
func (l *loader) polymorphic() error {
	if len(l.cat.Casts) == 0 {
		return nil
	}
	l.cat.Polymorphic = map[string]bool{}
	return l.each(`
		select distinct p.proname::text from pg_catalog.pg_proc p
		join pg_catalog.pg_type t on t.oid = p.prorettype or t.oid = any (p.proallargtypes) and p.prorettype = 'record'::regtype
		where p.pronamespace = 'pg_catalog'::regnamespace and t.typname ~ '^any'`,
		func(scan func(...any) error) error {
			var name string
			err := scan(&name)
			l.cat.Polymorphic[name] = true
			return err
		})
}
