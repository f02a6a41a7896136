package approval

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
)

// count is the statement that most attacks have approved: it counts one account up.
const count = "UPDATE accounts SET n = n + 1 WHERE id = {id}"

// swap has one statement approved and sends others.
type swap struct {
	name    string
	before  []string // in the asker's session, before it asks
	ask     stmt
	between []string // in the asker's session, once it is approved; what fails is an attempt all the same
	others  func(ctx context.Context, t *try) error
	use     []stmt
	control bool // what was approved is sent in the end, and has to run
	most    int  // times that it may have run before
	shows   bool
}

// attack is the swap as an attack of a family.
func (s swap) attack(family string) attack {
	return attack{family: family, name: s.name, most: s.most, shows: s.shows, run: func(ctx context.Context, t *try) error {
		c, err := t.client(ctx, "ada")
		if err != nil {
			return err
		}
		for _, sql := range s.before {
			if err := t.must(c, sql); err != nil {
				return err
			}
		}
		if _, err := t.approved(ctx, c, s.ask); err != nil {
			return err
		}
		for _, sql := range s.between {
			t.saw(c.Simple(t.sql(sql)))
		}
		if s.others != nil {
			if err := s.others(ctx, t); err != nil {
				return err
			}
		}
		for _, u := range s.use {
			t.send(c, u)
		}
		if s.control && !c.Dead {
			return t.still(ctx, c, s.ask, s.most)
		}
		return nil
	}}
}

// otherTexts are not what was approved, though near it.
var otherTexts = map[string]string{
	"space":            "UPDATE accounts SET n = n  + 1 WHERE id = {id}",
	"space-before":     " " + count,
	"space-after":      count + " ",
	"newline":          "UPDATE accounts\nSET n = n + 1 WHERE id = {id}",
	"tab":              "UPDATE accounts\tSET n = n + 1 WHERE id = {id}",
	"semicolon":        count + ";",
	"comment-after":    count + " -- the same",
	"comment-before":   "/* the same */ " + count,
	"comment-inside":   "UPDATE accounts /* the same */ SET n = n + 1 WHERE id = {id}",
	"case-of-keyword":  "update accounts SET n = n + 1 WHERE id = {id}",
	"case-of-name":     "UPDATE Accounts SET n = n + 1 WHERE id = {id}",
	"quoted":           `UPDATE "accounts" SET n = n + 1 WHERE id = {id}`,
	"qualified":        "UPDATE public.accounts SET n = n + 1 WHERE id = {id}",
	"other-schema":     "UPDATE other.accounts SET n = n + 1 WHERE id = 1",
	"other-literal":    "UPDATE accounts SET n = n + 2 WHERE id = {id}",
	"other-row":        "UPDATE accounts SET n = n + 1 WHERE id = 7",
	"all-rows":         "UPDATE accounts SET n = n + 1",
	"or-true":          count + " OR id > 0",
	"appended":         count + "; UPDATE accounts SET n = n + 1 WHERE id = 7",
	"prepended":        "UPDATE accounts SET n = n + 1 WHERE id = 7; " + count,
	"twice":            count + "; " + count,
	"returning":        count + " RETURNING id",
	"in-cte":           "WITH u AS (UPDATE accounts SET n = n + 1 WHERE id = {id} RETURNING 1) SELECT * FROM u",
	"explain-analyze":  "EXPLAIN ANALYZE " + count,
	"explain-options":  "EXPLAIN (ANALYZE true, COSTS off) " + count,
	"prepare-execute":  "PREPARE x AS " + count + "; EXECUTE x",
	"do-block":         "DO $$ BEGIN " + count + "; END $$",
	"unicode-name":     `UPDATE U&"accoun\0074s" SET n = n + 1 WHERE id = {id}`,
	"hex-literal":      "UPDATE accounts SET n = n + 1 WHERE id = {id}+0",
	"cast-literal":     "UPDATE accounts SET n = n + 1 WHERE id = '{id}'",
	"negative":         "UPDATE accounts SET n = n - 1 WHERE id = {id}",
	"other-column":     "UPDATE accounts SET note = 'x' WHERE id = {id}",
	"delete":           "DELETE FROM accounts WHERE id = {id}",
	"truncate":         "TRUNCATE accounts",
	"merge":            "MERGE INTO accounts a USING (SELECT {id} AS i) s ON a.id = s.i WHEN MATCHED THEN UPDATE SET n = a.n + 1",
	"insert-conflict":  "INSERT INTO accounts VALUES ({id}) ON CONFLICT (id) DO UPDATE SET n = accounts.n + 1",
	"nul-byte":         count + "\x00; DELETE FROM accounts",
	"nbsp":             "UPDATE accounts\u00a0SET n = n + 1 WHERE id = {id}",
	"transaction":      "BEGIN; " + count + "; COMMIT",
	"set-local-before": "SET LOCAL search_path = other; " + count,
}

func textAttacks() (out []attack) {
	for name, other := range otherTexts {
		out = append(out, swap{name: name + ".simple", ask: text(count), use: []stmt{text(other)}, control: true}.attack("text"),
			swap{name: name + ".extended", ask: extended(count), use: []stmt{extended(other)}, control: true}.attack("text"),
			agentSwap{name: name + ".mcp", ask: map[string]any{"sql": count}, use: map[string]any{"sql": other}}.attack("text"))
	}
	return append(out, swap{name: "simple-as-extended", ask: text(count), use: []stmt{extended(count)}, most: 1}.attack("text"),
		swap{name: "extended-as-simple", ask: extended(count), use: []stmt{text(count)}, most: 1}.attack("text"),
		agentSwap{name: "explain-tool", ask: map[string]any{"sql": count}, tool: "explain", use: map[string]any{"sql": count}}.attack("text"),
		agentSwap{name: "explain-tool-analyze", ask: map[string]any{"sql": count}, tool: "explain", use: map[string]any{"sql": "ANALYZE " + count}}.attack("text"),
		agentSwap{name: "explain-tool-options", ask: map[string]any{"sql": count}, tool: "explain", use: map[string]any{"sql": "(ANALYZE) " + count}}.attack("text"))
}

func int4(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

func paramAttacks() (out []attack) {
	const by = "UPDATE accounts SET n = n + $1 WHERE id = $2"
	ask := bound(by, "1", "{id}")
	binaryOnes := stmt{sql: by, extended: true, params: [][]byte{int4(1), int4(7)}, formats: []int16{1}, oids: []uint32{23, 23}}
	others := map[string]stmt{
		"other-row":       bound(by, "1", "7"),
		"other-amount":    bound(by, "5", "{id}"),
		"negative":        bound(by, "-1", "{id}"),
		"swapped":         bound(by, "{id}", "1"),
		"space":           bound(by, "2 ", "{id}"),
		"plus":            bound(by, "+2", "{id}"),
		"null":            {sql: by, extended: true, params: [][]byte{[]byte("1"), nil}},
		"binary":          binaryOnes,
		"types":           {sql: by, extended: true, params: [][]byte{[]byte("3"), []byte("{id}")}, oids: []uint32{20, 20}},
		"types-of-one":    {sql: by, extended: true, params: [][]byte{[]byte("3"), []byte("{id}")}, oids: []uint32{0, 20}},
		"binary-one":      {sql: by, extended: true, params: [][]byte{int4(9), []byte("{id}")}, formats: []int16{1, 0}, oids: []uint32{23, 23}},
		"too-few":         bound(by, "1"),
		"too-many":        bound(by, "1", "{id}", "7"),
		"inlined":         text("UPDATE accounts SET n = n + 1 WHERE id = 7"),
		"named-reparsed":  {sql: by, extended: true, named: "s", params: [][]byte{[]byte("2"), []byte("{id}")}},
		"formats-too-few": {sql: by, extended: true, params: [][]byte{int4(1), int4(8)}, formats: []int16{1}},
	}
	for name, other := range others {
		out = append(out, swap{name: name, ask: ask, use: []stmt{other}, control: true}.attack("parameter"))
	}
	const note = "UPDATE accounts SET n = n + (CASE WHEN $1::text IS NULL THEN 7 ELSE 1 END) WHERE id = {id}"
	null, word := stmt{sql: note, extended: true, params: [][]byte{nil}}, bound(note, "NULL")
	empty := bound(note, "")
	for name, other := range map[string]stmt{"null-for-word": null, "empty-for-word": empty, "word-in-other-case": bound(note, "null"), "backslash-n": bound(note, `\N`)} {
		out = append(out, swap{name: name, ask: word, use: []stmt{other}, control: true}.attack("parameter"))
	}
	out = append(out, swap{name: "word-for-null", ask: stmt{sql: "UPDATE accounts SET n = n + (CASE WHEN $1::text IS NULL THEN 1 ELSE 7 END) WHERE id = {id}", extended: true, params: [][]byte{nil}},
		use: []stmt{bound("UPDATE accounts SET n = n + (CASE WHEN $1::text IS NULL THEN 1 ELSE 7 END) WHERE id = {id}", "NULL")}, control: true}.attack("parameter"))
	// The same bytes mean something else by another type: 49 is '1' as text.
	const typed = "UPDATE accounts SET n = n + length($1) WHERE id = {id}"
	out = append(out, swap{name: "same-bytes-other-format", ask: bound(typed, "a"), use: []stmt{{sql: typed, extended: true, params: [][]byte{[]byte("a")}, formats: []int16{1}}}, most: 1}.attack("parameter"),
		swap{name: "same-bytes-other-type", ask: bound(typed, "a"), use: []stmt{{sql: typed, extended: true, params: [][]byte{[]byte("a")}, oids: []uint32{17}}}, control: true}.attack("parameter"))
	for name, use := range map[string]map[string]any{
		"other-row.mcp": {"sql": by, "params": []any{"1", "7"}}, "other-amount.mcp": {"sql": by, "params": []any{"5", "{id}"}}, "number.mcp": {"sql": by, "params": []any{3, "{id}"}},
		"null.mcp": {"sql": by, "params": []any{"1", nil}}, "none.mcp": {"sql": by}, "inlined.mcp": {"sql": "UPDATE accounts SET n = n + 1 WHERE id = 7"}, "list.mcp": {"sql": by, "params": []any{[]any{"1"}, "{id}"}},
	} {
		out = append(out, agentSwap{name: name, ask: map[string]any{"sql": by, "params": []any{"1", "{id}"}}, use: use}.attack("parameter"))
	}
	return out
}

// agentSwap is a swap by an agent: what was approved runs with check_approval, whatever is sent beside it.
type agentSwap struct {
	name     string
	ask, use map[string]any
	tool     string // that is used; empty: query
}

func (s agentSwap) attack(family string) attack {
	return attack{family: family, name: s.name, run: func(ctx context.Context, t *try) error {
		a, err := t.bot(ctx, "bot")
		if err != nil {
			return err
		}
		id, err := t.askAgent(ctx, a, t.args(s.ask))
		if err != nil {
			return err
		}
		if err := t.w.decide(ctx, "keeper", id, "approve", nil); err != nil {
			return err
		}
		tool := s.tool
		if tool == "" {
			tool = "query"
		}
		t.tool(ctx, a, tool, t.args(s.use))
		if err := t.before(ctx, 0); err != nil {
			return err
		}
		// With the handle of what was approved, another statement beside it.
		more := t.args(s.use)
		more["handle"] = id
		if r := t.tool(ctx, a, "check_approval", more); !r.IsError { // it runs what was approved, and takes no notice of the rest
			t.control = true
			return nil
		}
		if r := t.tool(ctx, a, "check_approval", map[string]any{"handle": id, "wait_seconds": 0}); r.IsError {
			return fmt.Errorf("what was approved does not run: %s", r.Text)
		}
		t.control = true
		return nil
	}}
}

// args puts the account into arguments.
func (t *try) args(in map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range in {
		switch v := v.(type) {
		case string:
			out[k] = t.sql(v)
		case []any:
			list := slices.Clone(v)
			for i, e := range list {
				if s, ok := e.(string); ok {
					list[i] = t.sql(s)
				}
			}
			out[k] = list
		default:
			out[k] = v
		}
	}
	return out
}

// settings that change what a statement means, or where it goes, between its approval and its use.
func contextAttacks() (out []attack) {
	for name, c := range map[string]struct {
		ask  string
		sets []string
	}{
		"search-path":        {count, []string{"SET search_path = other"}},
		"search-path-order":  {count, []string{"SET search_path = other, public"}},
		"search-path-config": {count, []string{"SELECT set_config('search_path', 'other, public', false)"}},
		"search-path-local":  {count, []string{"BEGIN", "SET LOCAL search_path = other"}},
		"search-path-temp":   {count, []string{"SET search_path = pg_temp, public"}},
		"search-path-update": {count, []string{"UPDATE pg_settings SET setting = 'other' WHERE name = 'search_path'"}},
		"role":               {count, []string{"SET ROLE postgres"}},
		"role-none":          {count, []string{"SET ROLE NONE"}},
		"authorization":      {count, []string{"SET SESSION AUTHORIZATION DEFAULT"}},
		"role-config":        {count, []string{"SELECT set_config('role', 'postgres', false)"}},
		"temp-table":         {count, []string{"CREATE TEMP TABLE accounts AS SELECT 1 AS id, 2 AS n"}},
		"temp-table-pg":      {count, []string{"CREATE TABLE pg_temp.accounts(id int, n int)"}},
		"temp-view":          {count, []string{"CREATE TEMP VIEW accounts AS SELECT * FROM other.accounts"}},
		"discard":            {count, []string{"DISCARD ALL", "SET search_path = other"}},
		"reset":              {count, []string{"RESET ALL", "SET search_path TO 'other'"}},
	} {
		for _, s := range []stmt{text(c.ask), extended(c.ask)} {
			form := ".simple"
			if s.extended {
				form = ".extended"
			}
			out = append(out, swap{name: name + form, ask: s, between: c.sets, use: []stmt{s, text("COMMIT")}, most: 1}.attack("context"))
		}
	}
	// These would go to rows that are not the one that the reviewer saw them go to.
	for name, c := range map[string]struct{ ask, set string }{
		"datestyle":     {"UPDATE accounts SET n = n + 1 WHERE day = '05/01/2026'", "SET datestyle = 'ISO, DMY'"},
		"datestyle-fn":  {"UPDATE accounts SET n = n + 1 WHERE day = '05/01/2026'", "SELECT set_config('datestyle', 'ISO, DMY', false)"},
		"timezone":      {"UPDATE accounts SET n = n + 1 WHERE at = '2025-12-31 20:00'", "SET timezone = 'X+5'"},
		"timezone-zone": {"UPDATE accounts SET n = n + 1 WHERE at = '2025-12-31 20:00'", "SET TIME ZONE INTERVAL '-05:00' HOUR TO MINUTE"},
		"array-nulls":   {"UPDATE accounts SET n = n + 1 WHERE id = 7 AND ('{NULL}'::text[])[1] IS NOT NULL", "SET array_nulls = off"},
		"custom":        {"UPDATE accounts SET n = n + 1 WHERE id = current_setting('my.row', true)::int", "SET my.row = '7'"},
		"custom-config": {"UPDATE accounts SET n = n + 1 WHERE id = current_setting('my.row', true)::int", "SELECT set_config('my.row', '7', false)"},
		"equals-null":   {"UPDATE accounts SET n = n + 1 WHERE note = NULL AND id = 7", "SET transform_null_equals = on"},
		"interval":      {"UPDATE accounts SET n = n + 1 WHERE id = 7 AND extract(hour FROM interval '-1 1:00:00') < 0", "SET intervalstyle = 'sql_standard'"},
		"bytea-output":  {"UPDATE accounts SET n = n + 1 WHERE id = 7 AND '\\x41'::bytea::text = 'A'", "SET bytea_output = 'escape'"},
		"float-digits":  {"UPDATE accounts SET n = n + 1 WHERE id = 7 AND (0.1::float8 + 0.2::float8)::text = '0.3'", "SET extra_float_digits = 0"},
		"lc-monetary":   {"UPDATE accounts SET n = n + 1 WHERE id = 7 AND '1.5'::money::text NOT LIKE '$%'", "SET lc_monetary = 'C'"},
	} {
		for _, s := range []stmt{text(c.ask), extended(c.ask)} {
			form := ".simple"
			if s.extended {
				form = ".extended"
			}
			out = append(out, swap{name: name + form, before: []string{"SET timezone = 'UTC'", "SET datestyle = 'ISO, MDY'"}, ask: s, between: []string{c.set}, use: []stmt{s}}.attack("context"))
		}
	}
	// What a name stands for is made anew.
	prepared := []string{"PREPARE p AS " + count}
	moved := []string{"DEALLOCATE p", "PREPARE p AS UPDATE accounts SET n = n + 5 WHERE id = {id}"}
	seen := "SELECT v FROM secrets"
	return append(out,
		swap{name: "prepared-anew", before: prepared, ask: text("EXECUTE p"), between: moved, use: []stmt{text("EXECUTE p")}}.attack("context"),
		swap{name: "prepared-anew-all", before: prepared, ask: text("EXECUTE p"), between: []string{"DEALLOCATE ALL", moved[1]}, use: []stmt{text("EXECUTE p")}}.attack("context"),
		swap{name: "prepared-argument", before: []string{"PREPARE p(int) AS UPDATE accounts SET n = n + $1 WHERE id = {id}"}, ask: text("EXECUTE p(1)"), use: []stmt{text("EXECUTE p(2)"), text("EXECUTE p(1 + 1)")}, control: true}.attack("context"),
		swap{name: "prepared-path", before: prepared, ask: text("EXECUTE p"), between: []string{"SET search_path = other"}, use: []stmt{text("EXECUTE p")}}.attack("context"),
		swap{name: "prepared-by-protocol", before: nil, ask: stmt{sql: count, extended: true, named: "s"}, between: []string{"DEALLOCATE s"},
			use: []stmt{{sql: "UPDATE accounts SET n = n + 5 WHERE id = {id}", extended: true, named: "s"}, {extended: true, noParse: true, named: "s"}}}.attack("context"),
		swap{name: "prepared-by-both", before: prepared, ask: text("EXECUTE p"), between: []string{"DEALLOCATE p"},
			use: []stmt{{sql: "UPDATE accounts SET n = n + 5 WHERE id = {id}", extended: true, named: "p"}, text("EXECUTE p")}}.attack("context"),
		swap{name: "cursor-without-hold", ask: text("DECLARE c CURSOR WITH HOLD FOR SELECT 1 FROM secrets"), between: []string{"CLOSE ALL"},
			use: []stmt{text("DECLARE c CURSOR WITH HOLD FOR " + seen), text("FETCH ALL FROM c")}}.attack("context"),
		swap{name: "cursor-opened-then-other", ask: text("DECLARE c CURSOR WITH HOLD FOR SELECT 1 FROM secrets"),
			use: []stmt{text("DECLARE c CURSOR WITH HOLD FOR SELECT 1 FROM secrets"), text("CLOSE c"), text("DECLARE c CURSOR WITH HOLD FOR " + seen), text("FETCH ALL FROM c"), text("MOVE c"), text("FETCH 1 FROM c")}}.attack("context"),
		swap{name: "fetch-of-another", ask: text("DECLARE c CURSOR WITH HOLD FOR SELECT 1 FROM secrets"),
			use: []stmt{text("DECLARE d CURSOR WITH HOLD FOR " + seen), text("FETCH ALL FROM d"), text("FETCH ALL FROM c")}}.attack("context"),
		swap{name: "copy-of-what-was-read", ask: text("SELECT id FROM secrets"), use: []stmt{text("COPY (" + seen + ") TO STDOUT"), text("COPY secrets TO STDOUT"), text("TABLE secrets"), text(seen)}, control: true}.attack("context"),
		swap{name: "savepoints", ask: text(count), most: 1, use: []stmt{text("BEGIN"), text("SAVEPOINT a"), text(count), text("ROLLBACK TO a"), text(count), text("COMMIT")}}.attack("context"),
		swap{name: "rolled-back", ask: text(count), most: 1, use: []stmt{text("BEGIN"), text(count), text("ROLLBACK"), text(count), text(count)}}.attack("context"))
}
