package witness

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit/checkpoint"
)

// post sends a body to the witness and gives the status, content type and body of the answer.
func post(t *testing.T, w http.Handler, body []byte) (int, string, string) {
	t.Helper()
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/add-checkpoint", bytes.NewReader(body)))
	return rec.Code, rec.Header().Get("Content-Type"), rec.Body.String()
}

func TestWitnessCosignsWhatGrows(t *testing.T) {
	l := newLog(t).grow("", 300)
	w := newWitness(t, "w.example", l)
	old := int64(0)
	for _, n := range []int64{0, 0, 1, 1, 2, 3, 8, 255, 256, 300, 300} {
		r := l.request(old, n)
		status, _, body := post(t, w, r.Format())
		if status != http.StatusOK || !w.cosigned(r.Checkpoint, []byte(body)) {
			t.Fatalf("from %d to %d: %d %q", old, n, status, body)
		}
		old = n
	}
}

func TestWitnessRefuses(t *testing.T) {
	l := newLog(t).grow("", 100)
	other := newLog(t).grow("", 100) // same origin, another key
	forked := l.fork(50).grow("fork ", 100)
	early := l.fork(10).grow("fork ", 100)
	seventy := l.tree(70)

	sign := func(o string, tree tlog.Tree, s note.Signer) []byte {
		msg, err := checkpoint.Sign(checkpoint.Checkpoint{Origin: o, Tree: tree}, s)
		if err != nil {
			t.Fatal(err)
		}
		return msg
	}
	with := func(r Request, change func(*Request)) []byte { change(&r); return r.Format() }
	tampered := with(l.request(70, 80), func(r *Request) {
		r.Checkpoint = bytes.Replace(r.Checkpoint, []byte("\n80\n"), []byte("\n81\n"), 1)
	})
	extended := with(l.request(70, 80), func(r *Request) {
		r.Checkpoint = bytes.Replace(r.Checkpoint, []byte("\n\n"), []byte("\nextension\n\n"), 1)
	})
	for name, c := range map[string]struct {
		body   []byte
		status int
		answer string
	}{
		"smaller_tree":              {l.request(60, 60).Format(), http.StatusConflict, "70\n"},
		"empty_body":                {nil, http.StatusBadRequest, ""},
		"old_size_behind":           {l.request(60, 80).Format(), http.StatusConflict, "70\n"},
		"old_size_zero":             {l.request(0, 80).Format(), http.StatusConflict, "70\n"},
		"old_size_ahead":            {l.request(75, 80).Format(), http.StatusConflict, "70\n"},
		"old_above_new":             {with(l.request(70, 70), func(r *Request) { r.Old = 80 }), http.StatusBadRequest, ""},
		"same_size_other_root":      {early.request(70, 70).Format(), http.StatusConflict, "70\n"},
		"forked_before":             {early.request(70, 80).Format(), http.StatusUnprocessableEntity, ""},
		"proof_missing":             {with(l.request(70, 80), func(r *Request) { r.Proof = nil }), http.StatusUnprocessableEntity, ""},
		"proof_of_another_size":     {with(l.request(70, 80), func(r *Request) { r.Proof = l.request(69, 80).Proof }), http.StatusUnprocessableEntity, ""},
		"proof_cut":                 {with(l.request(70, 80), func(r *Request) { r.Proof = r.Proof[1:] }), http.StatusUnprocessableEntity, ""},
		"proof_for_the_same_size":   {with(l.request(70, 70), func(r *Request) { r.Proof = tlog.TreeProof{seventy.Hash} }), http.StatusUnprocessableEntity, ""},
		"unknown_origin":            {with(l.request(70, 80), func(r *Request) { r.Checkpoint = sign("x.example", l.tree(80), l.signer) }), http.StatusNotFound, ""},
		"unknown_key":               {with(l.request(70, 80), func(r *Request) { r.Checkpoint = other.sign(80) }), http.StatusForbidden, ""},
		"signature_of_another_size": {tampered, http.StatusForbidden, ""},
		"extension_slipped_in":      {extended, http.StatusForbidden, ""},
		"no_checkpoint":             {[]byte("old 70\n\n"), http.StatusNotFound, ""},
		"garbage":                   {[]byte("garbage"), http.StatusBadRequest, ""},
		"old_with_zero":             {bytes.Replace(l.request(70, 80).Format(), []byte("old 70"), []byte("old 070"), 1), http.StatusBadRequest, ""},
		"proof_line_garbled":        {bytes.Replace(l.request(70, 80).Format(), []byte("old 70\n"), []byte("old 70\nAAAA\n"), 1), http.StatusBadRequest, ""},
		"too_many_proof_lines":      {[]byte("old 70\n" + strings.Repeat(seventy.Hash.String()+"\n", 64) + "\n" + string(l.sign(80))), http.StatusBadRequest, ""},
		"too_long":                  {append(l.request(70, 80).Format(), make([]byte, maxBody)...), http.StatusBadRequest, ""},
		"size_beyond_64_bits":       {[]byte("old 99999999999999999999\n\n" + string(l.sign(80))), http.StatusBadRequest, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWitness(t, "w.example", l)
			if _, err := w.Add(l.request(0, 70)); err != nil {
				t.Fatal(err)
			}
			status, kind, body := post(t, w, c.body)
			if status != c.status || c.answer != "" && (body != c.answer || kind != "text/x.tlog.size") {
				t.Errorf("%d %s %q", status, kind, body)
			}
			if got, _, err := w.state.load(origin); err != nil || got != seventy {
				t.Errorf("afterwards the witness is at %v, %v", got, err)
			}
			// It still cosigns what is true.
			if _, err := w.Add(l.request(70, 90)); err != nil {
				t.Error(err)
			}
			if _, err := w.Add(forked.request(90, 95)); !errors.Is(err, errProof) {
				t.Errorf("a fork: %v", err)
			}
		})
	}
}

func TestWitnessKeepsEvidenceOfAFork(t *testing.T) {
	l := newLog(t).grow("", 100)
	w := newWitness(t, "w.example", l)
	if _, err := w.Add(l.request(0, 70)); err != nil {
		t.Fatal(err)
	}
	first := l.fork(10).grow("fork ", 70).request(70, 70)
	for _, r := range []Request{first, l.fork(10).grow("another ", 70).request(70, 70)} {
		var c *conflict
		if _, err := w.Add(r); !errors.As(err, &c) {
			t.Fatal(err)
		}
	}
	for ext, want := range map[string]tlog.Tree{".checkpoint": l.tree(70), ".fork": l.fork(10).grow("fork ", 70).tree(70)} {
		b, err := os.ReadFile(w.state.path(origin, ext))
		if err != nil {
			t.Fatal(err)
		}
		if c, err := l.keys.Open(b); err != nil || c.Tree != want {
			t.Errorf("%s: %+v, %v", ext, c, err)
		}
	}
}

func TestWitnessRemembers(t *testing.T) {
	l := newLog(t).grow("", 100)
	w := newWitness(t, "w.example", l)
	if _, err := w.Add(l.request(0, 70)); err != nil {
		t.Fatal(err)
	}
	t.Run("one_process_at_a_time", func(t *testing.T) {
		if second, err := New(w.dir, w.signer, w.logs, slog.New(slog.DiscardHandler)); err == nil {
			second.Close()
			t.Error("two witnesses share a directory")
		}
	})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.open(t)
	var c *conflict
	if _, err := w.Add(l.request(0, 60)); !errors.As(err, &c) || c.size != 70 {
		t.Errorf("a smaller tree after a restart: %v", err)
	}
	if _, err := w.Add(l.request(70, 71)); err != nil {
		t.Error(err)
	}
	path := w.state.path(origin, ".checkpoint")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"empty": nil, "cut_off": good[:20], "garbage": []byte("garbage"),
		"of_another_log": bytes.Replace(good, []byte("gate."), []byte("late."), 1),
	} {
		t.Run("damaged_state_"+name, func(t *testing.T) {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if status, _, _ := post(t, w, l.request(0, 60).Format()); status != http.StatusInternalServerError {
				t.Errorf("answered %d", status)
			}
			w.Close()
			if again, err := New(w.dir, w.signer, w.logs, slog.New(slog.DiscardHandler)); err == nil {
				again.Close()
				t.Error("started")
			}
			if err := os.WriteFile(path, good, 0o600); err != nil {
				t.Fatal(err)
			}
			w.open(t)
		})
	}
	t.Run("cannot_be_kept", func(t *testing.T) {
		if err := os.RemoveAll(w.dir); err != nil {
			t.Fatal(err)
		}
		if line, err := w.Add(l.request(0, 80)); err == nil {
			t.Errorf("cosigned %q what is not on disk", line)
		}
	})
}

// Two trees that continue the same one come at once: the second is judged by what the first left. This is the
// race that C2SP tlog-witness describes.
func TestWitnessRace(t *testing.T) {
	l := newLog(t).grow("", 10)
	w := newWitness(t, "w.example", l)
	slow := &slowSigner{Signer: w.signer, entered: make(chan struct{}, 2), release: make(chan struct{})}
	w.signer = slow
	first, second := make(chan error), make(chan error)
	go func() { _, err := w.Add(l.request(0, 8)); first <- err }()
	<-slow.entered
	go func() { _, err := w.Add(l.request(0, 5)); second <- err }()
	select {
	case <-slow.entered:
		t.Error("two checkpoints of one log are cosigned at once")
	case <-time.After(100 * time.Millisecond):
	}
	close(slow.release)
	if err := <-first; err != nil {
		t.Error(err)
	}
	var c *conflict
	if err := <-second; !errors.As(err, &c) || c.size != 8 {
		t.Errorf("the second: %v", err)
	}
	if got, _, err := w.state.load(origin); err != nil || got != l.tree(8) {
		t.Errorf("at %v, %v", got, err)
	}
}

// slowSigner tells when it is asked, and waits.
type slowSigner struct {
	note.Signer
	entered, release chan struct{}
}

func (s *slowSigner) Sign(msg []byte) ([]byte, error) {
	s.entered <- struct{}{}
	<-s.release
	return s.Signer.Sign(msg)
}

func TestWitnessRotatedKey(t *testing.T) {
	l := newLog(t).grow("", 100)
	next := newLog(t).grow("", 100)
	w := newWitness(t, "w.example", l, next)
	if _, err := w.Add(l.request(0, 70)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Add(next.request(70, 80)); err != nil {
		t.Errorf("the next key of the log: %v", err)
	}
	var c *conflict
	if _, err := w.Add(next.request(0, 60)); !errors.As(err, &c) {
		t.Errorf("another key of the log rolled it back: %v", err)
	}
}

func TestWitnessHTTP(t *testing.T) {
	l := newLog(t).grow("", 10)
	w := newWitness(t, "w.example", l)
	srv := httptest.NewServer(w)
	defer srv.Close()
	res, err := srv.Client().Get(srv.URL + "/add-checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "POST" {
		t.Errorf("GET: %s", res.Status)
	}
	res, err = srv.Client().Post(srv.URL+"/other", "", bytes.NewReader(l.request(0, 5).Format()))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("another path: %s", res.Status)
	}
}

func TestNewWitnessNeedsLogs(t *testing.T) {
	if _, err := New(filepath.Join(t.TempDir(), "w"), nil, nil, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("started without logs")
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte("old 70\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\ncheckpoint"))
	f.Add([]byte("old 0\n\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := ParseRequest(body)
		if err != nil {
			return
		}
		if back := r.Format(); !bytes.Equal(back, body) {
			t.Errorf("%q became %q", body, back)
		}
	})
}

// A log whose key was replaced is followed without a restart; another log is not taken on the way.
func TestFollow(t *testing.T) {
	l := newLog(t).grow("", 30)
	private, public, err := checkpoint.GenerateKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	next := logOf(t, private, public).grow("", 30)
	w := newWitness(t, "w.example", l)
	if _, err := w.Add(l.request(0, 10)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Add(next.request(10, 20)); !errors.Is(err, errUntrusted) {
		t.Errorf("by a key that it was not told: %v", err)
	}
	other, otherPublic, err := checkpoint.GenerateKey("other.example/log")
	if err != nil || other == "" {
		t.Fatal(err)
	}
	stranger, err := note.NewVerifier(otherPublic)
	if err != nil {
		t.Fatal(err)
	}
	for name, list := range map[string][]note.Verifier{"another_log": {l.verifier(), stranger}, "no_log": nil} {
		if err := w.Follow(list); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if err := w.Follow([]note.Verifier{l.verifier(), next.verifier()}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Add(next.request(10, 20)); err != nil {
		t.Error(err)
	}
}
