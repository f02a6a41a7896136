package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"sallyport/internal/pgframe"
)

// recogniser is a model that knows two people by name.
type recogniser struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []string // the texts
	calls  int
	broken http.HandlerFunc // answers instead
}

func newRecogniser(t *testing.T) *recogniser {
	r := &recogniser{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		var q struct{ Text []string }
		if err := json.Unmarshal(body, &q); err != nil {
			t.Errorf("a question is malformed: %v", err)
		}
		r.mu.Lock()
		r.asked, r.calls = append(r.asked, q.Text...), r.calls+1
		broken := r.broken
		r.mu.Unlock()
		if broken != nil {
			broken(w, req)
			return
		}
		answers := make([][]map[string]any, len(q.Text))
		for i, text := range q.Text {
			answers[i] = []map[string]any{}
			for _, name := range []string{"Tzaro Quil", "Åsa Öst"} {
				for from := 0; ; {
					at := strings.Index(text[from:], name)
					if at < 0 {
						break
					}
					at += from
					from = at + len(name)
					answers[i] = append(answers[i], map[string]any{"entity_type": "PERSON", "score": 0.85,
						"start": utf8.RuneCountInString(text[:at]), "end": utf8.RuneCountInString(text[:from])})
				}
			}
		}
		json.NewEncoder(w).Encode(answers)
	}))
	t.Cleanup(r.Close)
	return r
}

// questions forgets what was asked, and gives it.
func (r *recogniser) questions() (asked []string, calls int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked, calls = r.asked, r.calls
	r.asked, r.calls = nil, 0
	return asked, calls
}

func (r *recogniser) breaks(how http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = how
}

// withModel is a world whose gateway asks the recogniser, with time for a machine that stops for a while.
func withModel(t *testing.T, r *recogniser) *world {
	t.Helper()
	w := newWorld(t)
	w.reopen(Recogniser{URL: r.URL + "/analyze", Timeout: 20 * time.Second, MinScore: 0.5})
	return w
}

func (w *world) reopen(r Recogniser) {
	w.t.Helper()
	w.gw.Close()
	c := w.config()
	c.Model = r
	gw, err := Open(context.Background(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.gw = gw
}

// modelValues are expressions, and what is shown of them in text and in binary; "" is as in text.
var modelValues = []struct{ sql, text, binary string }{
	{`'für Åsa Öst ☃, Tzaro Quil'::text`, "für [name] ☃, [person]", ""},
	{`'Tzaro Quil, jane@secret.example.org'::varchar`, "[person], [email]", ""},
	{`'{"by": "Tzaro Quil", "n": 1}'::json`, `{"by": "[person]", "n": 1}`, ""},
	{`'{"by": "Åsa Öst", "n": 1}'::jsonb`, `{"n": 1, "by": "[person]"}`, "\x01" + `{"n": 1, "by": "[person]"}`},
	{`'<p>Tzaro Quil</p>'::xml`, "<p>[person]</p>", ""},
	{`array['x', 'Tzaro Quil']`, "NULL", ""},
	{`row(1, 'Tzaro Quil'::text)`, "NULL", ""},
	{`'nobody'::text`, "nobody", ""},
	{`null::text`, "NULL", ""},
	{`1984`, "1984", "\x00\x00\x07\xc0"},
	{`'2024'::text`, "2024", ""},
}

func modelQuery() (sql string, text, binary []string) {
	var list []string
	for _, v := range modelValues {
		list, text = append(list, v.sql), append(text, v.text)
		if v.binary == "" {
			v.binary = v.text
		}
		binary = append(binary, v.binary)
	}
	return "select " + strings.Join(list, ", "), text, binary
}

func TestModelHidesWhatItFinds(t *testing.T) {
	r := newRecogniser(t)
	w := withModel(t, r)
	s := w.login("agent")
	defer s.Close()
	sql, text, binary := modelQuery()
	inBinary := pipeline(sql)
	inBinary[1].Raw = func() []byte {
		b, at := pgframe.Begin(nil, 'B')
		return pgframe.End(append(b, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1), at)
	}()
	for name, tc := range map[string]struct {
		ops  []Op
		want []string
	}{"simple": {[]Op{{Kind: OpQuery, SQL: sql}}, text}, "extended": {pipeline(sql), text}, "binary": {inBinary, binary}} {
		t.Run(name, func(t *testing.T) {
			r.questions()
			a := w.do(s, tc.ops...)
			wantNoError(t, a)
			if len(a.rows) != 1 || !slices.Equal(a.rows[0], tc.want) {
				t.Errorf("rows %q, want %q", a.rows, tc.want)
			}
			asked, calls := r.questions()
			if calls != 1 || len(asked) != 8 || !slices.Contains(asked, "Tzaro Quil, [email]") || slices.Contains(asked, "2024") {
				t.Errorf("%d questions about %q", calls, asked)
			}
			if len(a.notices) > 0 {
				t.Errorf("notices %q", a.notices)
			}
		})
	}
	if recs := w.records(); recs[len(recs)-1].Detected < 8 || recs[len(recs)-1].Unchecked != 0 {
		t.Errorf("the record says %d hidden, %d unchecked", recs[len(recs)-1].Detected, recs[len(recs)-1].Unchecked)
	}
}

func TestModelLooksAtCopies(t *testing.T) {
	r := newRecogniser(t)
	w := withModel(t, r)
	s := w.login("agent")
	defer s.Close()
	const query = `copy (select E'Tzaro Quil,\t"x"' as a, array['Tzaro Quil'] as b, '{"by": "Åsa Öst"}'::jsonb as c, null::text as d from generate_series(1, 3)) to stdout `
	for form, want := range map[string]string{
		"":             `[person],\t"x"` + "\t\\N\t" + `{"by": "[person]"}` + "\t\\N\n",
		"(format csv)": `"[person],	""x""",,"{""by"": ""[person]""}",` + "\n",
	} {
		c := w.copy(s, Op{Kind: OpQuery, SQL: query + form})
		wantNoError(t, &c.answer)
		if got := c.data.String(); got != strings.Repeat(want, 3) {
			t.Errorf("%s: %q, want %q", form, got, want)
		}
	}
	c := w.copy(s, Op{Kind: OpQuery, SQL: query + "(format binary)"})
	wantNoError(t, &c.answer)
	if data := c.data.Bytes(); bytes.Contains(data, []byte("Tzaro")) || bytes.Contains(data, []byte("Åsa")) || bytes.Count(data, []byte("[person]")) != 6 {
		t.Errorf("binary: %q", data)
	}
	if _, calls := r.questions(); calls != 3 {
		t.Errorf("%d questions for three results of equal rows", calls)
	}
	r.breaks(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	c = w.copy(s, Op{Kind: OpQuery, SQL: query})
	if want := strings.Repeat("[redacted]\t\\N\t\"[redacted]\"\t\\N\n", 3); c.data.String() != want || len(c.notices) != 1 {
		t.Errorf("a model that fails: %q, notices %q", c.data.String(), c.notices)
	}
}

func TestModelThatFailsHidesValues(t *testing.T) {
	says := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) }
	}
	for name, how := range map[string]http.HandlerFunc{
		"status 500":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"late":          func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"wrong offsets": says(`[[{"entity_type":"PERSON","start":0,"end":4000,"score":1}],[]]`),
		"huge answer":   says(strings.Repeat(" ", 5<<20) + `[[],[]]`),
		"nonsense":      says(`{"rows": "fine"}`),
		"dead":          nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecogniser(t)
			w := withModel(t, r)
			if name == "late" {
				w.reopen(Recogniser{URL: r.URL + "/analyze", Timeout: 300 * time.Millisecond, MinScore: 0.5})
			}
			s := w.login("agent")
			defer s.Close()
			if r.breaks(how); how == nil {
				r.Server.Close()
			}
			const sql = `select 'row ' || g as a, '{"g": "x"}'::jsonb as b, g as c, null::text as d from generate_series(1, 50) g`
			a := w.query(s, sql)
			wantNoError(t, a)
			if len(a.rows) != 50 || len(a.notices) != 1 || !a.warned {
				t.Fatalf("%d rows, notices %q", len(a.rows), a.notices)
			}
			for i, row := range a.rows {
				if want := []string{"[redacted]", `"[redacted]"`, fmt.Sprint(i + 1), "NULL"}; !slices.Equal(row, want) {
					t.Fatalf("row %d is %q", i+1, row)
				}
			}
			if _, calls := r.questions(); how != nil && calls != 1 {
				t.Errorf("asked %d times in one result", calls)
			}
			recs := w.records()
			if rec := recs[len(recs)-1]; rec.Unchecked != 100 || rec.Detected != 100 {
				t.Errorf("the record says %d hidden, %d unchecked", rec.Detected, rec.Unchecked)
			}
			begin := time.Now()
			for range 20 {
				if a := w.query(s, "select 'Tzaro Quil'::text"); a.rows[0][0] != "[redacted]" {
					t.Fatalf("shown: %q", a.rows)
				}
			}
			rests := 1 + int(time.Since(begin)/(5*time.Second)) // each ends with one question
			if _, calls := r.questions(); name == "late" && calls > 2+rests {
				t.Errorf("20 statements waited for a dead model, %d of them in %d rests", calls, rests)
			}
		})
	}
}

func TestModelIsAskedNothingThatItNeedNotSee(t *testing.T) {
	r := newRecogniser(t)
	w := withModel(t, r)
	for who, sql := range map[string]string{
		"agent": "select email, ssn, id from customers where id < 5", // labelled, or no text
		"dba":   "select 'Tzaro Quil'::text, notes from customers",   // no detectors for whoever sees everything
	} {
		s := w.login(who)
		r.questions()
		a := w.query(s, sql)
		wantNoError(t, a)
		if asked, _ := r.questions(); len(asked) > 0 || len(a.rows) == 0 {
			t.Errorf("%s: asked about %q for %q", who, asked, a.rows[:1])
		}
		s.Close()
	}
	s := w.login("writer")
	defer s.Close()
	r.questions()
	w.query(s, "select 'city ' || g % 3, 'from me@secret.example.org' from generate_series(1, 500) g")
	if asked, calls := r.questions(); calls != 3 || len(asked) != 4 || slices.ContainsFunc(asked, func(q string) bool { return strings.Contains(q, "@") }) {
		t.Errorf("%d questions about %q", calls, asked)
	}
	w.reopen(Recogniser{})
	off := w.login("writer")
	defer off.Close()
	if got := w.value(off, "select 'Tzaro Quil'::text"); got != "Tzaro Quil" || off.gw.model != nil {
		t.Errorf("without a model: %s", got)
	}
	if asked, _ := r.questions(); len(asked) > 0 {
		t.Errorf("asked without a model: %q", asked)
	}
}

func TestModelAndQuery(t *testing.T) {
	r := newRecogniser(t)
	w := withModel(t, r)
	s := w.login("agent")
	defer s.Close()
	res, err := s.Query(context.Background(), Query{SQL: "select 'Tzaro Quil'::text"})
	if err != nil || *res.Rows[0][0] != "[person]" || res.Detected != 1 || len(res.Notes) != 0 {
		t.Fatalf("%v %v", res, err)
	}
	r.breaks(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	res, err = s.Query(context.Background(), Query{SQL: "select 'Tzaro Quil'::text", MaxRows: 1})
	if err != nil || *res.Rows[0][0] != "[redacted]" || len(res.Notes) != 1 || !strings.Contains(res.Notes[0], "hidden whole") {
		t.Fatalf("%v %v", res, err)
	}
	long := "select repeat('Tzaro Quil ', 40000)"
	r.breaks(nil)
	r.questions()
	if got := w.value(s, long); got != "[redacted]" {
		t.Errorf("a text that is too long: %.40s", got)
	}
	if asked, _ := r.questions(); len(asked) > 0 {
		t.Error("a text that is too long was sent")
	}
}
