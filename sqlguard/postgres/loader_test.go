package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/access"
)

// loadCatalog reads the parts of a catalog snapshot that the analyzer looks at. It is a small loader
// of its own, so that these tests do not depend on how the gateway loads one.
func loadCatalog(t testing.TB, conn *pgx.Conn) *access.Catalog {
	t.Helper()
	cat := &access.Catalog{
		ServerVersion: 150000, Schemas: map[string]bool{},
		Relations: map[access.Name]*access.Relation{}, Functions: map[access.Name][]*access.Function{},
		Operators: map[string][]*access.Operator{}, Types: map[access.Name]*access.Type{}, TypeByOID: map[uint32]*access.Type{},
	}
	rows := func(sql string, f func(pgx.Rows) error) {
		t.Helper()
		r, err := conn.Query(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for r.Next() {
			if err := f(r); err != nil {
				t.Fatal(err)
			}
		}
		if r.Err() != nil {
			t.Fatal(r.Err())
		}
	}
	if err := conn.QueryRow(t.Context(), "SELECT current_database()").Scan(&cat.Database); err != nil {
		t.Fatal(err)
	}
	byOID := map[uint32]*access.Relation{}
	rows(`SELECT c.oid, n.nspname, c.relname, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r','p','v','m','f','S','c')`, func(r pgx.Rows) error {
		rel := &access.Relation{}
		var kind string
		err := r.Scan(&rel.OID, &rel.Name.Schema, &rel.Name.Name, &kind)
		rel.Kind = access.RelationKind(kind[0])
		cat.Relations[rel.Name], byOID[rel.OID] = rel, rel
		return err
	})
	rows(`SELECT attrelid, attnum, attname, atttypid, attgenerated <> '' FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped
		ORDER BY attrelid, attnum`, func(r pgx.Rows) error {
		var oid uint32
		var c access.Column
		err := r.Scan(&oid, &c.Num, &c.Name, &c.TypeOID, &c.Generated)
		if rel := byOID[oid]; rel != nil {
			rel.Columns = append(rel.Columns, c)
		}
		return err
	})
	rows(`SELECT t.oid, n.nspname, t.typname, t.typtype::text, t.typcategory::text, t.typelem, t.typbasetype, t.typrelid
		FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname <> 'pg_catalog'`, func(r pgx.Rows) error {
		ty := &access.Type{}
		var kind, category string
		var rel uint32
		err := r.Scan(&ty.OID, &ty.Name.Schema, &ty.Name.Name, &kind, &category, &ty.Elem, &ty.Base, &rel)
		ty.Kind, ty.Category = kind[0], category[0]
		if byOID[rel] != nil {
			ty.Relation = byOID[rel].Name
		}
		cat.Types[ty.Name], cat.TypeByOID[ty.OID] = ty, ty
		return err
	})
	rows(`SELECT n.nspname, p.proname, p.proretset, p.prorettype, coalesce((SELECT array_agg(coalesce(p.proargnames[i], '') ORDER BY i)
			FROM generate_subscripts(p.proargmodes, 1) i WHERE p.proargmodes[i] IN ('o', 'b', 't')), '{}')
		FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname <> 'pg_catalog'`, func(r pgx.Rows) error {
		f := &access.Function{}
		err := r.Scan(&f.Name.Schema, &f.Name.Name, &f.ReturnsSet, &f.ReturnType, &f.OutNames)
		cat.Functions[f.Name] = append(cat.Functions[f.Name], f)
		return err
	})
	rows(`SELECT n.nspname, o.oprname, pn.nspname, p.proname FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
		JOIN pg_proc p ON p.oid = o.oprcode JOIN pg_namespace pn ON pn.oid = p.pronamespace
		WHERE n.nspname <> 'pg_catalog'`, func(r pgx.Rows) error {
		o := &access.Operator{}
		err := r.Scan(&o.Name.Schema, &o.Name.Name, &o.Function.Schema, &o.Function.Name)
		cat.Operators[o.Name.Name] = append(cat.Operators[o.Name.Name], o)
		return err
	})
	rows(`SELECT c.castsource, c.casttarget, n.nspname, p.proname FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc
		JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname <> 'pg_catalog'`, func(r pgx.Rows) error {
		var c access.Cast
		err := r.Scan(&c.Source, &c.Target, &c.Function.Schema, &c.Function.Name)
		cat.Casts = append(cat.Casts, c)
		return err
	})
	return cat
}
