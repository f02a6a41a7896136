package gateway

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/pgframe"
)

// inPieces is copyIn with the data cut into messages of n bytes.
func inPieces(data string, n int) (ops []Op) {
	for len(data) > 0 {
		k := min(n, len(data))
		b, at := pgframe.Begin(nil, 'd')
		ops, data = append(ops, Op{Kind: OpCopyData, Raw: pgframe.End(append(b, data[:k]...), at)}), data[k:]
	}
	return append(ops, Op{Kind: OpCopyDone})
}

// TestTokensInCopyAreStoredAsTheirValues, in each format, however the data is cut into messages.
func TestTokensInCopyAreStoredAsTheirValues(t *testing.T) {
	w, s := resolveWorld(t)
	email, phone := w.token(s, "select email from customers where id = 7"), w.token(s, "select phone from people where id = 1")
	uid := w.token(s, "select uid from people where id = 2")
	raw, err := hex.DecodeString(strings.ReplaceAll(uid, "-", ""))
	if err != nil {
		t.Fatal(err)
	}
	tuple := func(v ...any) string { return string(tuples(v)) }
	const three = "select email = 'u7@example.com' and phone = '+1 415 555 2671' and note = E'a\\tb\\\\' from leads where id = 61"
	for name, c := range map[string]struct{ sql, data, check string }{
		"text":            {"copy leads(id, email, phone, note) from stdin", "61\t" + email + "\t" + phone + "\ta\\tb\\\\\n", three},
		"text_unended":    {"copy leads(id, email, note) from stdin", "61\t" + email + "\tx", "select email = 'u7@example.com' and note = 'x' from leads where id = 61"},
		"text_crlf":       {"copy leads(id, note, email) from stdin", "61\tx\t" + email + "\r\n62\t\\N\t\\N\r\n", "select (select email from leads where id = 61) = 'u7@example.com' and note is null and email is null from leads where id = 62"},
		"text_marker":     {"copy leads(id, email) from stdin", "61\t" + email + "\n\\.\nwhatever", "select email = 'u7@example.com' from leads where id = 61"},
		"text_delimiter":  {"copy leads(id, email, note) from stdin (delimiter '|', null 'none')", "61|" + email + "|a\tb\n62|none|z\n", "select (select email = 'u7@example.com' and note = E'a\\tb' from leads where id = 61) from leads where id = 62 and email is null"},
		"all_columns":     {"copy leads from stdin", "61\t" + email + "\t\\N\t" + uid + "\t\\N\n", "select email = 'u7@example.com' and uid = (select uid from people where id = 2) from leads where id = 61"},
		"csv":             {"copy leads(id, email, phone, note) from stdin csv", "61," + email + ",\"" + phone + "\",\"a\tb\\\"\n", three},
		"csv_header":      {"copy leads(id, email, note) from stdin (format csv, header)", "id,email,note\n61," + email + ",\"two\nlines, \"\"quoted\"\"\"\n62,,\"\"\n", "select (select email = 'u7@example.com' and note = E'two\\nlines, \"quoted\"' from leads where id = 61) and email is null and note = '' from leads where id = 62"},
		"csv_other_quote": {"copy leads(id, email, note) from stdin (format csv, delimiter ';', quote '''', null 'x')", "61;" + email + ";'it''s'\n62;x;'x'\n", "select (select email = 'u7@example.com' and note = 'it''s' from leads where id = 61) and email is null and note = 'x' from leads where id = 62"},
		"binary":          {"copy leads(id, email, uid, note) from stdin binary", tuple("\x00\x00\x00\x3d", email, string(raw), nil), "select email = 'u7@example.com' and note is null and uid = (select uid from people where id = 2) from leads where id = 61"},
		"binary_empty":    {"copy leads(id, email) from stdin binary", string(tuples()), "select count(*) = 0 from leads where id = 61"},
		"encoding":        {"copy leads(id, email, note) from stdin (encoding 'utf-8')", "61\t" + email + "\tü\n", "select email = 'u7@example.com' and note = 'ü' from leads where id = 61"},
		"values":          {"copy leads(id, email) from stdin", "61\tnew@example.com\n62\t" + email + "\n", "select string_agg(email, ' ' order by id) = 'new@example.com u7@example.com' from leads where id > 60"},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			for _, n := range []int{1, 7, 1 << 20} {
				for _, ops := range [][]Op{append(query(c.sql), inPieces(c.data, n)...), append(append(pipeline(c.sql)[:4:4], inPieces(c.data, n)...), Op{Kind: OpSync})} {
					if ops[0].Kind == OpParse {
						ops = append(ops[:2:2], ops[3:]...) // without Describe
					}
					a := w.do(s, ops...)
					if wantNoError(t, a); a.tx != 'I' {
						t.Fatalf("ends in %c", a.tx)
					}
					if got := w.upstream(c.check); got != "t" {
						t.Errorf("in pieces of %d: %s gave %q", n, c.check, got)
					}
					w.upstream("delete from leads where id > 60")
				}
			}
		})
	}
}

// TestManyRowsOfTokens: more rows than are looked up at a time, and one whose token is nobody's at their end, which leaves nothing.
func TestManyRowsOfTokens(t *testing.T) {
	w, s := resolveWorld(t)
	a := w.query(s, "select email from customers where id <= 100 order by id")
	wantNoError(t, a)
	var data strings.Builder
	for i := range 2500 {
		fmt.Fprintf(&data, "%d\t%s\n", 100+i, a.rows[i%100][0])
	}
	const check = "select count(*) from leads l join customers c on c.email = l.email where l.id >= 100 and c.id = (l.id - 100) % 100 + 1"
	bad := append(query("copy leads(id, email) from stdin"), inPieces(data.String()+"9000\ttok_ghjklmnpqrtvwxyzghjklmnp\n9001\t\\N\n", 8000)...)
	if a := w.do(s, bad...); len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "42501 no value that may be looked up has this token") || w.upstream(check) != "0" {
		t.Errorf("a token of nobody gave %v, %s rows", a.errs, w.upstream(check))
	}
	wantNoError(t, w.do(s, append(query("copy leads(id, email) from stdin"), inPieces(data.String(), 8000)...)...))
	if got := w.upstream(check); got != "2500" {
		t.Errorf("%s rows were stored", got)
	}
	seen := false
	for _, r := range w.records() {
		b, _ := json.Marshal(r)
		if strings.Contains(string(b), "u7@example.com") {
			t.Errorf("a record has a value: %s", b)
		}
		var p access.PlanRecord
		json.Unmarshal(r.Plan, &p)
		seen = seen || strings.HasPrefix(r.SQL, "copy leads") && strings.Contains(strings.Join(p.Resolved, ", "), "public.leads.email from public.customers.email")
	}
	if !seen {
		t.Error("no record says where the tokens were looked for")
	}
}

// TestCopiesOfSentinelsAreRefused, and rows that could be taken for others; the session goes on.
func TestCopiesOfSentinelsAreRefused(t *testing.T) {
	w, s := resolveWorld(t)
	const state = "select md5(string_agg(l::text, ' ' order by id)) from leads l"
	before := w.upstream(state)
	email := w.token(s, "select email from customers where id = 7")
	for name, c := range map[string]struct{ sql, data, code string }{
		"redaction":      {"copy leads(id, email) from stdin", "61\t" + email + "\n62\t***\n", "42501"},
		"nobody's":       {"copy leads(id, email) from stdin", "61\ttok_ghjklmnpqrtvwxyzghjklmnp\n", "42501"},
		"other_label":    {"copy leads(id, phone) from stdin", "61\t" + email + "\n", "42501"},
		"upper_case":     {"copy leads(id, email) from stdin csv", "61,TOK_" + strings.ToUpper(email[4:]) + "\n", "42501"},
		"binary":         {"copy leads(id, email) from stdin binary", string(tuples([]any{"\x00\x00\x00\x3d", "***"})), "42501"},
		"escaped":        {"copy leads(id, email) from stdin", "61\t\\164ok_ghjk\n", "22P04"},
		"too_few":        {"copy leads(id, email) from stdin", email + "\n", "22P04"},
		"too_many":       {"copy leads(id, email) from stdin", "61\t" + email + "\tx\n", "22P04"},
		"return":         {"copy leads(id, email) from stdin", "61\ta\rb\n", "22P04"},
		"line_breaks":    {"copy leads(id, email) from stdin", "61\ta\n62\tb\r\n", "22P04"},
		"quotes":         {"copy leads(id, email) from stdin csv", "61,a\"b\"\n", "22P04"},
		"unended_quote":  {"copy leads(id, email) from stdin csv", "61,\"a\n", "22P04"},
		"unended_binary": {"copy leads(id, email) from stdin binary", string(tuples([]any{"\x00\x00\x00\x3d", email}))[:30], "22P04"},
		"other_encoding": {"copy leads(id, email) from stdin (encoding 'latin1')", "61\t" + email + "\n", "0A000"},
		"unknown_option": {"copy leads(id, email) from stdin (format csv, force_null (email))", "61," + email + "\n", "42501"},
		"checked":        {"copy checked(id, email, bound) from stdin", "1\t" + email + "\tm\n", "42501"},
		"generated":      {"copy generated(id, email) from stdin", "1\t" + email + "\n", "42501"},
		"revealable":     {"copy revealable(id, email) from stdin", "1\t" + email + "\n", "42501"},
	} {
		a := w.do(s, append(query(c.sql), inPieces(c.data, 1<<20)...)...)
		if len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], c.code) || strings.Contains(a.errs[0], "example.com") || a.tx != 'I' {
			t.Errorf("%s: %v", name, a.errs)
		}
		wantNoError(t, w.query(s, "select 1"))
	}
	if w.upstream(state) != before {
		t.Error("something was stored")
	}
	wantNoError(t, w.query(s, "begin"))
	wantError(t, w.do(s, append(query("copy leads(id, email) from stdin"), inPieces("61\ttok_ghjklmnpqrtvwxyzghjklmnp\n", 5)...)...), "42501")
	if a := w.query(s, "rollback"); len(a.errs) > 0 || a.tx != 'I' {
		t.Errorf("after a refused COPY: %v", a.errs)
	}
}

// TestOptionsOfCopyAreNoGuesses: which text stands for NULL, or ends a field, is not asked of the values of tokens.
func TestOptionsOfCopyAreNoGuesses(t *testing.T) {
	w, s := resolveWorld(t)
	email := w.token(s, "select email from customers where id = 7")
	for _, options := range []string{"null 'u7@example.com'", "format csv, null 'u7@example.com'", "delimiter '@'", "format csv, quote 'u', escape '@'"} {
		delim := map[bool]string{true: ","}[strings.HasPrefix(options, "format csv")]
		if delim == "" {
			delim = map[bool]string{true: "@", false: "\t"}[strings.Contains(options, "delimiter")]
		}
		wantNoError(t, w.do(s, append(query("copy leads(id, email) from stdin ("+options+")"), inPieces("61"+delim+email+"\n", 100)...)...))
		if got := w.upstream("select email from leads where id = 61"); got != "u7@example.com" {
			t.Errorf("%s: stored %q", options, got)
		}
		w.upstream("delete from leads where id = 61")
	}
}

// TestErrorsDoNotTellTheValueOfAToken, in none of their fields: what the server says of a row that it does not take.
func TestErrorsDoNotTellTheValueOfAToken(t *testing.T) {
	w, s := resolveWorld(t)
	email := w.token(s, "select email from customers where id = 7")
	wantNoError(t, w.query(s, "insert into members values (1, '"+email+"', 1)"))
	for name, ops := range map[string][]Op{
		"values":    query("insert into members values (2, '" + email + "', 1)"),
		"parameter": pipeline("insert into members values (2, $1, 1)", email),
		"selected":  query("insert into members select 2, '" + email + "', 1"),
		"row":       query("update members set (id, email) = (2, '" + email + "') where id = 3"),
		"copied":    append(query("copy members from stdin"), inPieces("2\t"+email+"\t1\n", 100)...),
		"not_null":  append(query("copy members from stdin"), inPieces("2\t"+email+"\t\\N\n", 100)...),
		"cast":      append(query("copy members from stdin"), inPieces("2\t"+email+"\tx\n", 100)...),
		"key":       append(query("copy members from stdin csv"), inPieces("1,"+email+",1\n", 100)...),
	} {
		w.upstream("insert into members values (3, 'other@example.com', 1) on conflict do nothing")
		var frames strings.Builder
		a := &answer{}
		if err := s.Do(t.Context(), ops, sinks{a, &frames}); err != nil {
			t.Fatal(err)
		}
		if len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "2") || strings.Contains(frames.String(), "example.com") {
			t.Errorf("%s: %q", name, frames.String())
		}
	}
	if got := w.upstream("select string_agg(email, ' ' order by id) from members"); got != "u7@example.com other@example.com" {
		t.Errorf("members have %s", got)
	}
}

// sinks is an answer of which all bytes are kept too.
type sinks struct {
	*answer
	all *strings.Builder
}

func (s sinks) Release(frames []byte) error {
	s.all.Write(frames)
	return s.answer.Release(frames)
}
