package mask_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
	"sallyport/mask"
	"sallyport/sqlguard/postgres"
	"sallyport/sqlguard/registry"
)

// snapshot reads what tests need of a catalog.
func snapshot(t testing.TB, dsn string) *access.Catalog {
	t.Helper()
	ctx := context.Background()
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cfg.RuntimeParams["search_path"] = ""
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	cat := &access.Catalog{Connection: "test", ServerVersion: 150000, Schemas: map[string]bool{}, Relations: map[access.Name]*access.Relation{},
		Functions: map[access.Name][]*access.Function{}, Operators: map[string][]*access.Operator{},
		Types: map[access.Name]*access.Type{}, TypeByOID: map[uint32]*access.Type{}}
	each := func(sql string, row func(scan func(...any) error) error) {
		t.Helper()
		rows, err := conn.Query(ctx, sql)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			if err := row(rows.Scan); err != nil {
				t.Fatal(err)
			}
		}
		if rows.Err() != nil {
			t.Fatal(rows.Err())
		}
	}
	each("SELECT current_database()", func(scan func(...any) error) error { return scan(&cat.Database) })
	each("SELECT nspname FROM pg_namespace", func(scan func(...any) error) error {
		var s string
		err := scan(&s)
		cat.Schemas[s] = true
		return err
	})
	byOID := map[uint32]*access.Relation{}
	each(`SELECT c.oid, nspname, relname, relkind::text, CASE WHEN relkind IN ('v', 'm') AND nspname NOT IN ('pg_catalog', 'information_schema') THEN pg_get_viewdef(c.oid) ELSE '' END
		FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r','p','v','m','f','S','c') AND nspname NOT LIKE 'pg\_t%'`,
		func(scan func(...any) error) error {
			r, kind := &access.Relation{}, ""
			err := scan(&r.OID, &r.Name.Schema, &r.Name.Name, &kind, &r.Definition)
			r.Kind = access.RelationKind(kind[0])
			cat.Relations[r.Name], byOID[r.OID] = r, r
			return err
		})
	each(`SELECT attrelid, attnum, attname, format_type(atttypid, atttypmod), atttypid, attnotnull, coalesce(col_description(attrelid, attnum), ''),
		coalesce(pg_get_expr(adbin, adrelid), ''), attgenerated <> '' FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
		WHERE attnum > 0 AND NOT attisdropped ORDER BY attrelid, attnum`,
		func(scan func(...any) error) error {
			var rel uint32
			var c access.Column
			err := scan(&rel, &c.Num, &c.Name, &c.Type, &c.TypeOID, &c.NotNull, &c.Comment, &c.Default, &c.Generated)
			if r := byOID[rel]; r != nil {
				r.Columns = append(r.Columns, c)
			}
			return err
		})
	each("SELECT inhrelid, inhparent FROM pg_inherits", func(scan func(...any) error) error {
		var child, parent uint32
		err := scan(&child, &parent)
		if byOID[child] != nil && byOID[parent] != nil {
			byOID[child].Parents = append(byOID[child].Parents, byOID[parent].Name)
		}
		return err
	})
	each(`SELECT conrelid, conname, contype::text, array(SELECT attname::text FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey))
		FROM pg_constraint WHERE conrelid <> 0`,
		func(scan func(...any) error) error {
			var rel uint32
			con, typ := access.Constraint{}, ""
			err := scan(&rel, &con.Name, &typ, &con.Columns)
			con.Type = typ[0]
			if r := byOID[rel]; r != nil {
				r.Constraints = append(r.Constraints, con)
			}
			return err
		})
	each(`SELECT partrelid, array(SELECT attname::text FROM pg_attribute WHERE attrelid = partrelid AND attnum = ANY (partattrs::int2[])), partexprs IS NOT NULL FROM pg_partitioned_table`,
		func(scan func(...any) error) error {
			var rel uint32
			var key []string
			var expr bool
			err := scan(&rel, &key, &expr)
			if r := byOID[rel]; r != nil {
				r.PartitionKey, r.PartitionExpr = key, expr
			}
			return err
		})
	each(`SELECT nspname, proname, prokind::text, provolatile::text, proretset, prorettype, coalesce(e.extname, '') FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
		LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' LEFT JOIN pg_extension e ON e.oid = d.refobjid
		WHERE nspname NOT IN ('pg_catalog', 'information_schema')`,
		func(scan func(...any) error) error {
			f, kind, vol := &access.Function{}, "", ""
			err := scan(&f.Name.Schema, &f.Name.Name, &kind, &vol, &f.ReturnsSet, &f.ReturnType, &f.Extension)
			f.Kind, f.Volatility = kind[0], vol[0]
			cat.Functions[f.Name] = append(cat.Functions[f.Name], f)
			return err
		})
	each(`SELECT n.nspname, oprname, fn.nspname, proname FROM pg_operator JOIN pg_namespace n ON n.oid = oprnamespace JOIN pg_proc p ON p.oid = oprcode
		JOIN pg_namespace fn ON fn.oid = pronamespace WHERE n.nspname <> 'pg_catalog'`,
		func(scan func(...any) error) error {
			o := &access.Operator{}
			err := scan(&o.Name.Schema, &o.Name.Name, &o.Function.Schema, &o.Function.Name)
			cat.Operators[o.Name.Name] = append(cat.Operators[o.Name.Name], o)
			return err
		})
	each(`SELECT t.oid, n.nspname, typname, typtype::text, typcategory::text, typelem, typbasetype, coalesce(format_type(nullif(typbasetype, 0), typtypmod), ''), typnotnull,
		EXISTS (SELECT FROM pg_constraint WHERE contypid = t.oid AND contype = 'c'),
		array(SELECT pg_get_expr(conbin, 0) FROM pg_constraint WHERE contypid = t.oid AND contype = 'c' AND typcollation IN (0, 100)), coalesce(rn.nspname, ''), coalesce(c.relname, '')
		FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid LEFT JOIN pg_namespace rn ON rn.oid = c.relnamespace WHERE t.oid >= 16384`,
		func(scan func(...any) error) error {
			ty, kind, category := &access.Type{}, "", ""
			err := scan(&ty.OID, &ty.Name.Schema, &ty.Name.Name, &kind, &category, &ty.Elem, &ty.Base, &ty.BaseType, &ty.NotNull, &ty.Checks, &ty.CheckSQL, &ty.Relation.Schema, &ty.Relation.Name)
			ty.Kind, ty.Category = kind[0], category[0]
			cat.TypeByOID[ty.OID], cat.Types[ty.Name] = ty, ty
			return err
		})
	return cat
}

// world is a catalog with its labels and masks, and a principal who sees none of the labelled columns.
type world struct {
	env    postgres.Env
	cat    *access.Catalog
	labels *mask.Labels
	masks  *mask.Masks
	lookup map[access.ColumnID]bool
}

func newWorld(t testing.TB, dsn string, rules []access.LabelRule, masks []access.Mask) *world {
	t.Helper()
	reg, err := registry.Load(150000)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{cat: snapshot(t, dsn), lookup: map[access.ColumnID]bool{}}
	w.env = postgres.Env{Catalog: w.cat, Path: []string{"pg_catalog", "public"}, Registry: reg}
	labels, problems := mask.Resolve(w.cat, "test", rules, nil, func(r *access.Relation) ([]access.Output, []access.ColumnID, error) {
		l, err := postgres.ViewLineage(r, postgres.Env{Catalog: w.cat, Path: []string{"pg_catalog"}, Registry: reg})
		return l.Outputs, l.Decides, err
	})
	for _, p := range problems {
		t.Log(p)
	}
	w.labels = labels
	if w.masks, err = mask.NewMasks(masks); err != nil {
		t.Fatal(err)
	}
	return w
}

// compile compiles one statement for the principal, as the gateway would.
func (w *world) compile(sql string) (mask.Compiled, *access.Facts, error) {
	trees, err := postgres.Parse(sql)
	if err != nil {
		return mask.Compiled{}, nil, err
	}
	if len(trees) != 1 {
		return mask.Compiled{}, nil, &access.Error{Kind: access.Invalid, Code: "42601", Message: "not one statement"}
	}
	return w.compileTree(trees[0])
}

func (w *world) compileTree(tree *pgtree.Tree) (mask.Compiled, *access.Facts, error) {
	facts, err := postgres.Analyze(tree, w.env)
	if err != nil {
		return mask.Compiled{}, nil, err
	}
	c, err := mask.Compile(mask.Input{Tree: tree, Facts: facts, Catalog: w.cat, Labels: w.labels, Masks: w.masks, Decision: w.decision(facts)})
	return c, facts, err
}

// decision allows all, and masks every labelled column of the relations that a statement touches.
func (w *world) decision(facts *access.Facts) access.Decision {
	d := access.Decision{Effect: access.Allow}
	seen := map[access.Name]bool{}
	for _, r := range facts.Relations {
		if seen[r.Name] {
			continue
		}
		seen[r.Name] = true
		for _, col := range w.cat.Relations[r.Name].Columns {
			if w.labels.Columns(r.Name)[col.Name] != nil {
				id := access.ColumnID{Relation: r.Name, Column: col.Name}
				d.Masked = append(d.Masked, id)
				if w.lookup[id] {
					d.Lookup = append(d.Lookup, id)
				}
			}
		}
	}
	return d
}
