package rowfilter

import (
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// TestEveryNameOfAColumnStaysOne: a column may be called like any keyword.
func TestEveryNameOfAColumnStaysOne(t *testing.T) {
	for _, name := range strings.Fields(keywords) {
		f, err := Parse(`"` + name + `" = principal.x AND NOT "` + name + `"`)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		sql, err := f.SQL(func(string) (string, bool) { return "v", true })
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		tree, err := pg.Parse("SELECT " + sql)
		if err != nil {
			t.Errorf("%s: %s does not parse: %v", name, sql, err)
			continue
		}
		args := tree.Stmts[0].Stmt.GetSelectStmt().TargetList[0].GetResTarget().Val.GetBoolExpr().GetArgs()
		if len(args) != 2 || args[0].GetAExpr().GetLexpr().GetColumnRef().GetFields()[0].GetString_().GetSval() != name ||
			args[1].GetBoolExpr().GetArgs()[0].GetColumnRef().GetFields()[0].GetString_().GetSval() != name {
			t.Errorf("%s became %s", name, sql)
		}
	}
}

const keywords = `all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast char
character check coalesce collate collation column concurrently constraint create cross current_catalog current_date current_role
current_schema current_time current_timestamp current_user dec decimal default deferrable desc distinct do else end except exists
extract false fetch float for foreign freeze from full grant greatest group grouping having ilike in initially inner inout int integer
intersect interval into is isnull join json json_array lateral leading least left like limit localtime localtimestamp national natural
nchar none normalize not notnull null nullif numeric offset on only or order out outer overlaps overlay placing position precision
primary real references returning right row select session_user setof similar smallint some substring symmetric system_user table
tablesample then time timestamp to trailing treat trim true union unique user using values varchar variadic verbose when where window
with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable a.b A *
percent operator text name value over partition range rows filter within ordinality unknown`
