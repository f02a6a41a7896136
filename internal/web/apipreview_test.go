package web

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"sallyport/internal/gateway"
)

// program sends a request of a program's in somebody's name, and reads the answer.
func (w *world) program(method, path, name string, out any) int {
	w.t.Helper()
	req, err := http.NewRequest(method, w.http.URL+path, strings.NewReader("{}"))
	if err != nil {
		w.t.Fatal(err)
	}
	req.SetBasicAuth(name, "pw-"+name)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode
}

func TestNotesAndPreviewsAreForReviewers(t *testing.T) {
	w := newWorld(t, nil)
	w.wish("asker0", write, func(q *gateway.Query) { q.Reason = "hello world" })
	r := w.wish("asker", write, func(q *gateway.Query) { q.Reason = "hello world" })
	for name, want := range map[string]struct {
		look    bool
		preview int
	}{"keeper": {true, 200}, "auditor": {true, 403}, "asker": {false, 403}, "stranger": {false, 404}} {
		var shown Review
		if code := w.program("GET", "/api/v1/reviews/"+r.ID, name, &shown); code != 200 != (name == "stranger") {
			t.Errorf("%s: %d", name, code)
		}
		if r.Subject.Asker.Proof.Method == "" || shown.ReviewRequest != nil && shown.Subject.Asker.Proof.Method != "" {
			t.Errorf("%s is shown how who asked was proven: %+v, of %+v", name, shown.Subject.Asker, r.Subject.Asker)
		}
		if has := shown.Look != nil && len(shown.Notes) > 0 && len(shown.Similar) == 1; has != want.look {
			t.Errorf("%s is shown %+v", name, shown.Look)
		}
		var p struct {
			Preview
			Error string
		}
		if code := w.program("POST", "/api/v1/reviews/"+r.ID+"/preview", name, &p); code != want.preview {
			t.Errorf("%s: %d %s", name, code, p.Error)
		}
		if name == "keeper" && (p.Rows == nil || *p.Rows != 1 || !strings.Contains(p.Plan, "customers")) {
			t.Errorf("%+v", p)
		}
	}
	w.wantState(r.ID, "pending")
}
