package attack

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// literals are arguments for the sweep, by type; others are NULL of their type.
var literals = map[string]string{
	"integer": "1", "bigint": "1", "smallint": "1::int2", "oid": "4242::oid", "text": "'canary.txt'", "name": "'counter'", "boolean": "true",
	"regclass": "'counter'::regclass", "double precision": "1", "real": "1", "numeric": "1", "bytea": `'\x00'::bytea`, "pg_lsn": "'0/1'::pg_lsn",
	"interval": "interval '1 ms'", "json": "'{}'::json", "jsonb": "'{}'::jsonb", "text[]": "ARRAY['a']", "date": "date '2024-01-01'",
	"timestamp with time zone": "timestamptz '2024-01-01 00:00Z'", "xid": "'1'::xid", "tsquery": "'a'::tsquery", "tsvector": "'a'::tsvector",
	"character": "'a'", "cstring": "'a'", "anyelement": "1", "anyarray": "ARRAY[1]", "anynonarray": "1", "\"any\"": "1",
}

// sweep calls every function of pg_catalog that SQL can call, once, with arguments that make sense to most.
func (w *world) sweep(ctx context.Context) ([]Attack, error) {
	rows, err := w.direct.Query(ctx, `
		select p.oid::regprocedure::text, p.proname, array(select format_type(t, null) from unnest(p.proargtypes) t)
		from pg_proc p where pronamespace = 'pg_catalog'::regnamespace and prokind = 'f'
		  and not 'internal'::regtype = any (proargtypes::oid[]) and prorettype not in ('internal'::regtype, 'trigger'::regtype, 'event_trigger'::regtype)
		order by p.oid`)
	if err != nil {
		return nil, err
	}
	var all []Attack
	var signature, name string
	var types []string
	_, err = pgx.ForEachRow(rows, []any{&signature, &name, &types}, func() error {
		args := make([]string, len(types))
		for i, t := range types {
			if l, ok := literals[t]; ok {
				args[i] = l
			} else {
				args[i] = "NULL::" + t
			}
		}
		all = append(all, Attack{Family: "sweep", Name: signature, Kind: 's',
			Steps: []string{fmt.Sprintf("SELECT pg_catalog.%s(%s)", pgx.Identifier{name}.Sanitize(), strings.Join(args, ", "))}})
		return nil
	})
	return all, err
}
