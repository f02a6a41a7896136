package gateway

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// describeSettings, describeMappings and describeConfig are what psql 15 sends for \drds, \deu and \dconfig.
const (
	describeSettings = `SELECT rolname AS "Role", datname AS "Database", pg_catalog.array_to_string(setconfig, E'\n') AS "Settings"
FROM pg_catalog.pg_db_role_setting s
LEFT JOIN pg_catalog.pg_database d ON d.oid = setdatabase
LEFT JOIN pg_catalog.pg_roles r ON r.oid = setrole
ORDER BY 1, 2;`
	describeMappings = `SELECT um.srvname AS "Server", um.usename AS "User name" FROM pg_catalog.pg_user_mappings um ORDER BY 1, 2;`
	describeConfig   = `SELECT s.name AS "Parameter", pg_catalog.current_setting(s.name) AS "Value" FROM pg_catalog.pg_settings s
WHERE s.source <> 'default' AND s.setting IS DISTINCT FROM s.boot_val ORDER BY 1;`
)

// TestCatalogIsDescribedWithoutItsSecrets: psql's commands work for those who are judged, and nothing that may be an
// application's secret comes with them.
func TestCatalogIsDescribedWithoutItsSecrets(t *testing.T) {
	w := newWorld(t)
	if err := w.gw.LoadPolicies([]PolicyFile{{Name: "p", Text: testPolicy + `
		@id("seers") permit (principal in Group::"reasoned", action in [Action::"reveal"], resource in Connection::"shop");`}}); err != nil {
		t.Fatal(err)
	}
	direct, ctx := w.direct(), context.Background()
	var name string
	if res, err := direct.Exec(ctx, "select current_database()").ReadAll(); err != nil {
		t.Fatal(err)
	} else {
		name = string(res[0].Rows[0][0])
	}
	for _, sql := range []string{
		fmt.Sprintf(`alter database %s set "app.jwt_secret" = 'canary'`, name),
		"create extension postgres_fdw", "create server far foreign data wrapper postgres_fdw", "create user mapping for public server far options (password 'canary')",
	} {
		if _, err := direct.Exec(ctx, sql).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	for _, who := range []string{"agent", "why"} { // with and without masked columns
		s := w.login(who)
		wantNoError(t, w.query(s, "set sallyport.reason = 'looking at what the catalog shows'"))
		show := func(sql string) string {
			t.Helper()
			a := w.query(s, sql)
			text := fmt.Sprint(a.rows, a.errs)
			if strings.Contains(text, "canary") {
				t.Errorf("%s: %s shows the secret: %s", who, sql, text)
			}
			return text
		}
		if got := show(describeSettings); !strings.Contains(got, "[NULL "+name+" NULL]") {
			t.Errorf("%s: \\drds: %s", who, got)
		}
		if got := show(describeMappings); !strings.Contains(got, "[far public]") {
			t.Errorf("%s: \\deu: %s", who, got)
		}
		if got := show(describeConfig); !strings.Contains(got, "[application_name sallyport]") || strings.Contains(got, "ipad") {
			t.Errorf("%s: \\dconfig: %s", who, got)
		}
		for _, sql := range []string{
			"select * from pg_db_role_setting", "select s from pg_db_role_setting s", "select row_to_json(s) from pg_db_role_setting s", "select (s).setconfig from pg_db_role_setting s",
			"select setconfig(s) from pg_db_role_setting s", "select s.c from pg_db_role_setting s(a, b, c)", "select count(*) from pg_db_role_setting where setconfig::text like '%canary%'",
			"select x.setconfig from (select * from pg_db_role_setting) x", "table pg_db_role_setting", "copy pg_db_role_setting to stdout", "copy pg_db_role_setting(setconfig) to stdout", "copy (select setconfig from pg_db_role_setting) to stdout",
			"select setconfig from pg_db_role_setting a join pg_db_role_setting b using (setconfig)", "select unnest(setconfig) from pg_db_role_setting", "select min(setconfig::text) from pg_db_role_setting",
			"prepare p as select setconfig from pg_db_role_setting", "execute p", "with x as (select setconfig from pg_db_role_setting) select * from x",
			"select * from pg_user_mappings", "select umoptions from pg_user_mapping", "select m from pg_user_mappings m", "select row_to_json(m) from pg_user_mappings m",
		} {
			show(sql)
		}
		for _, sql := range []string{
			"select current_setting(x.name) from (select 'app.jwt_secret' as name from pg_settings) x", "select current_setting(name) from pg_settings join (values ('app.jwt_secret')) v(name) using (name)",
			"select current_setting(name) from (select 'app.jwt_secret') as pg_settings(name)", "select current_setting(s.name) from pg_settings s full join (values ('app.jwt_secret')) v(name) using (name)",
			"select current_setting(lower(s.name)) from pg_settings s", "select current_setting(v.name) from pg_settings s full join (values ('app.jwt_secret')) v(name) using (name)",
		} {
			if who == "agent" {
				show(sql)
			}
		}
		if who == "agent" {
			wantError(t, w.query(s, "copy pg_class(relname, reltuples) to stdout"), "0A000")
		}
		if a := w.query(s, "select count(*) from pg_db_role_setting where setconfig is null"); len(a.rows) != 1 || a.rows[0][0] == "0" {
			t.Errorf("%s: %v %v", who, a.rows, a.errs)
		}
		s.Close()
	}
}
