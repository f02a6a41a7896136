package model

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// recogniser is a server, and what it was asked.
type recogniser struct {
	*httptest.Server
	asked atomic.Int64
	last  atomic.Pointer[map[string]any]
}

func serve(t *testing.T, answer http.HandlerFunc) *recogniser {
	t.Helper()
	r := &recogniser{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.asked.Add(1)
		var q map[string]any
		if body, _ := io.ReadAll(req.Body); json.Unmarshal(body, &q) == nil {
			r.last.Store(&q)
		}
		answer(w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

func says(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) }
}

func client(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestQuestion(t *testing.T) {
	r := serve(t, says(`[[{"entity_type":"PERSON","start":4,"end":7,"score":0.85,"analysis_explanation":null}],[]]`))
	c := client(t, Options{URL: r.URL + "/analyze", Language: "de", MinScore: 0.4, Entities: []string{"PERSON"}})
	got, err := c.Ask(context.Background(), []string{"für Åsa ☃", "<nichts>"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]Span{{{5, 9, "person"}}, nil}, got); diff != "" {
		t.Error(diff)
	}
	want := map[string]any{"text": []any{"für Åsa ☃", "<nichts>"}, "language": "de", "score_threshold": 0.4, "entities": []any{"PERSON"}}
	if diff := cmp.Diff(want, *r.last.Load()); diff != "" {
		t.Error(diff)
	}
}

// TestAnswers are of the text "Zoë & Bö", of eight characters and ten bytes.
func TestAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		answer string
		want   []Span
		err    error
	}{
		"to the end":          {`[[{"entity_type":"PERSON","start":6,"end":8,"score":1}]]`, []Span{{7, 10, "person"}}, nil},
		"out of order":        {`[[{"entity_type":"B","start":6,"end":8,"score":1},{"entity_type":"A","start":0,"end":3,"score":1}]]`, []Span{{0, 4, "a"}, {7, 10, "b"}}, nil},
		"overlapping":         {`[[{"entity_type":"B","start":2,"end":8,"score":1},{"entity_type":"A","start":0,"end":3,"score":1}]]`, []Span{{0, 10, "a"}}, nil},
		"one within another":  {`[[{"entity_type":"B","start":1,"end":2,"score":1},{"entity_type":"A","start":0,"end":3,"score":1}]]`, []Span{{0, 4, "a"}}, nil},
		"low score":           {`[[{"entity_type":"A","start":0,"end":3,"score":0.2}]]`, nil, nil},
		"past the end":        {`[[{"entity_type":"A","start":6,"end":9,"score":1}]]`, nil, errSpan},
		"before the start":    {`[[{"entity_type":"A","start":-1,"end":3,"score":1}]]`, nil, errSpan},
		"empty":               {`[[{"entity_type":"A","start":3,"end":3,"score":1}]]`, nil, errSpan},
		"backwards":           {`[[{"entity_type":"A","start":3,"end":1,"score":1}]]`, nil, errSpan},
		"huge":                {`[[{"entity_type":"A","start":0,"end":9223372036854775807,"score":1}]]`, nil, errSpan},
		"low score, no place": {`[[{"entity_type":"A","start":0,"end":99,"score":0.2}]]`, nil, errSpan},
		"no start":            {`[[{"entity_type":"A","end":3,"score":1}]]`, nil, errSpan},
		"no score":            {`[[{"entity_type":"A","start":0,"end":3}]]`, nil, errSpan},
		"no kind":             {`[[{"start":0,"end":3,"score":1}]]`, nil, errSpan},
		"kind is a text":      {`[[{"entity_type":"Zoë, again","start":0,"end":3,"score":1}]]`, nil, errSpan},
		"fraction":            {`[[{"entity_type":"A","start":0.5,"end":3,"score":1}]]`, nil, errForm},
		"one list":            {`[{"entity_type":"A","start":0,"end":3,"score":1}]`, nil, errForm},
		"null for a text":     {`[null]`, nil, errForm},
		"more behind":         {`[[]] [[]]`, nil, errForm},
		"error in words":      {`{"error":"Zoë"}`, nil, errForm},
		"nothing":             {``, nil, errForm},
		"no list":             {`[]`, nil, errCount},
		"two lists":           {`[[],[]]`, nil, errCount},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, Options{URL: serve(t, says(tc.answer)).URL, MinScore: 0.5})
			got, err := c.Ask(context.Background(), []string{"Zoë & Bö"})
			if !errors.Is(err, tc.err) {
				t.Fatalf("error %v, want %v", err, tc.err)
			}
			if err == nil && len(got) != 1 {
				t.Fatalf("%d answers", len(got))
			}
			if err == nil {
				if diff := cmp.Diff(tc.want, append([]Span(nil), got[0]...)); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestFailures(t *testing.T) {
	elsewhere := serve(t, says(`[[]]`))
	for name, answer := range map[string]http.HandlerFunc{
		"status 500": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "[[]]", http.StatusInternalServerError) },
		"status 204": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"redirection": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		},
		"late": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"late body": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "[")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
		"huge answer": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "[[]]"+strings.Repeat(" ", mostAnswer))
		},
		"broken answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			io.WriteString(w, "[[]]")
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, Options{URL: serve(t, answer).URL, Timeout: 100 * time.Millisecond})
			begin := time.Now()
			if _, err := c.Ask(context.Background(), []string{"Jane"}); err == nil {
				t.Error("no error")
			} else if strings.Contains(err.Error(), "Jane") {
				t.Errorf("the error tells the text: %v", err)
			}
			if d := time.Since(begin); d > 20*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
	if elsewhere.asked.Load() != 0 {
		t.Error("a redirection was followed")
	}
}

func TestDeadRecogniserIsLeftAlone(t *testing.T) {
	var healthy atomic.Bool
	r := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if !healthy.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		io.WriteString(w, "[[]]")
	})
	c := client(t, Options{URL: r.URL})
	for i := range 10 {
		_, err := c.Ask(context.Background(), []string{"x"})
		if resting := errors.Is(err, ErrResting); err == nil || resting != (i >= failuresInRow) {
			t.Errorf("question %d: %v", i, err)
		}
	}
	if n := r.asked.Load(); n != failuresInRow {
		t.Errorf("asked %d times, want %d", n, failuresInRow)
	}
	healthy.Store(true)
	time.Sleep(restFor + 100*time.Millisecond)
	for i := range 3 {
		if _, err := c.Ask(context.Background(), []string{"x"}); err != nil {
			t.Errorf("question %d after the rest: %v", i, err)
		}
	}
}

func TestLongTextsAreAskedAboutInParts(t *testing.T) {
	r := serve(t, func(w http.ResponseWriter, req *http.Request) { io.WriteString(w, "[[],[],[],[]]") })
	texts := make([]string, 8)
	for i := range texts {
		texts[i] = strings.Repeat("x", MaxText)
	}
	got, err := client(t, Options{URL: r.URL}).Ask(context.Background(), texts)
	if err != nil || len(got) != 8 || r.asked.Load() != 2 {
		t.Errorf("%d answers of %d questions, %v", len(got), r.asked.Load(), err)
	}
}

func TestAddresses(t *testing.T) {
	for _, bad := range []string{"", "localhost:5002/analyze", "ftp://127.0.0.1/", "http:///analyze", "https://me:pw@example.org/analyze", "unix:///run/x"} {
		if _, err := New(Options{URL: bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	// An address of TEST-NET-1 (RFC 5737) is nowhere: if it were dialled, that would take until the timeout.
	c := client(t, Options{URL: "http://192.0.2.1/analyze", Timeout: 10 * time.Second})
	begin := time.Now()
	if _, err := c.Ask(context.Background(), []string{"x"}); err == nil || !strings.Contains(err.Error(), "use https") || time.Since(begin) > 5*time.Second {
		t.Errorf("http to another machine: %v", err)
	}
}
