package witness

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

func TestClientAdd(t *testing.T) {
	l := newLog(t).grow("", 100)
	for name, old := range map[string]int64{"knows_the_size": 70, "believes_it_is_new": 0, "is_behind": 60, "is_ahead": 75, "is_beyond_the_tree": 500} {
		t.Run(name, func(t *testing.T) {
			w := newWitness(t, "w.example", l)
			c := w.serve(t, w)
			if _, err := w.Add(l.request(0, 70)); err != nil {
				t.Fatal(err)
			}
			cs, err := c.Add(t.Context(), l.sign(80), l.tree(80), old, l.prove)
			if err != nil || !w.cosigned(l.sign(80), []byte(cs.Line+"\n")) || cs.Witness != "w.example" {
				t.Errorf("%+v, %v", cs, err)
			}
			if got, _, err := w.state.load(origin); err != nil || got != l.tree(80) {
				t.Errorf("the witness is at %v, %v", got, err)
			}
		})
	}
}

// What the log shows does not continue what the witness has seen: it was rolled back or forked.
func TestClientSeesDivergence(t *testing.T) {
	l := newLog(t).grow("", 100)
	fork := l.fork(10).grow("fork ", 100)
	for name, c := range map[string]struct {
		log  *testLog
		n    int64
		at   int64
		size bool // Size tells it too
	}{
		"rolled_back":          {l, 60, 70, true},
		"emptied":              {l, 0, 70, true},
		"forked_and_smaller":   {fork, 60, 70, true},
		"forked_at_that_size":  {fork, 70, 70, true},
		"forked_and_has_grown": {fork, 80, 70, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWitness(t, "w.example", l)
			client := w.serve(t, w)
			if _, err := w.Add(l.request(0, c.at)); err != nil {
				t.Fatal(err)
			}
			if _, err := client.Add(t.Context(), c.log.sign(c.n), c.log.tree(c.n), 0, c.log.prove); !errors.Is(err, ErrDiverged) {
				t.Errorf("Add: %v", err)
			}
			if _, err := client.Size(t.Context(), c.log.sign(c.n), c.log.tree(c.n)); errors.Is(err, ErrDiverged) != c.size {
				t.Errorf("Size: %v", err)
			}
		})
	}
}

func TestClientSize(t *testing.T) {
	l := newLog(t).grow("", 100)
	w := newWitness(t, "w.example", l)
	c := w.serve(t, w)
	for _, step := range []struct{ add, n, want int64 }{{0, 100, 0}, {70, 100, 70}, {100, 100, 100}} {
		if step.add > 0 {
			old, _, _ := w.state.load(origin)
			if _, err := w.Add(l.request(old.N, step.add)); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := c.Size(t.Context(), l.sign(step.n), l.tree(step.n)); got != step.want || err != nil {
			t.Errorf("size %d, %v; want %d", got, err, step.want)
		}
		if last, _, _ := w.state.load(origin); last.N != step.want {
			t.Errorf("asking moved the witness to %d", last.N)
		}
	}
}

func TestProbe(t *testing.T) {
	l := newLog(t).grow("", 100)
	behind, level, ahead := newWitness(t, "behind.example", l), newWitness(t, "level.example", l), newWitness(t, "ahead.example", l)
	for w, n := range map[*testWitness]int64{behind: 60, level: 80, ahead: 90} {
		if _, err := w.Add(l.request(0, n)); err != nil {
			t.Fatal(err)
		}
	}
	down := newWitness(t, "down.example", l)
	unreachable, err := NewClient("http://127.0.0.1:1", down.public, http.DefaultClient)
	if err != nil {
		t.Fatal(err)
	}
	bc, lc, ac := behind.serve(t, behind), level.serve(t, level), ahead.serve(t, ahead)

	t.Run("none_has_seen_more", func(t *testing.T) {
		all, err := Probe(t.Context(), l.keys, l.sign(80), l.prove, bc, lc, unreachable)
		if err != nil {
			t.Fatal(err)
		}
		if all[0].Size != 80 || // it was at 60, and was shown that the log continues that
			all[0].Err != nil || all[1].Size != 80 || all[1].Err != nil || all[2].Err == nil || all[2].Witness != "down.example" {
			t.Errorf("%+v", all)
		}
	})
	t.Run("one_has_seen_more", func(t *testing.T) {
		_, err := Probe(t.Context(), l.keys, l.sign(80), l.prove, bc, ac, unreachable)
		if !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), "ahead.example has seen 90 records of it, and there are 80") {
			t.Errorf("error: %v", err)
		}
	})
	t.Run("checkpoint_of_a_stranger", func(t *testing.T) {
		if _, err := Probe(t.Context(), l.keys, newLog(t).grow("", 9).sign(9), l.prove, bc); err == nil || errors.Is(err, ErrDiverged) {
			t.Errorf("error: %v", err)
		}
	})
}

// A witness, or somebody in between, that does not answer as it should.
func TestClientDistrusts(t *testing.T) {
	l := newLog(t).grow("", 100)
	w := newWitness(t, "w.example", l)
	stranger := newWitness(t, "w.example", l)
	cosign := func(w *testWitness, n int64) string {
		last, _, _ := w.state.load(origin)
		line, err := w.Add(l.request(last.N, n))
		if err != nil {
			t.Fatal(err)
		}
		return string(line)
	}
	past := time.Now().Add(-time.Hour)
	w.now = func() time.Time { return past }
	replayed := cosign(w, 80)
	w.now = func() time.Time { return past.Add(2 * time.Hour) }
	future := cosign(w, 80)
	w.now = time.Now
	genuine := cosign(w, 80)
	another := cosign(w, 90)

	answer := func(status int, body string) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(status); fmt.Fprint(rw, body) })
	}
	target := httptest.NewServer(answer(200, genuine))
	defer target.Close()
	size := int64(0)
	for name, h := range map[string]http.Handler{
		"no_cosignature":              answer(200, ""),
		"replayed_cosignature":        answer(200, replayed),
		"cosignature_of_the_future":   answer(200, future),
		"cosignature_of_another_tree": answer(200, another),
		"cosignature_by_another_key":  answer(200, cosign(stranger, 80)),
		"garbage":                     answer(200, "garbage"),
		"endless":                     answer(200, strings.Repeat("x\n", maxBody)),
		"conflict_without_size":       answer(409, "what?"),
		"conflict_with_itself":        http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(409); fmt.Fprintln(rw, 40) }),
		"conflict_that_moves":         http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { size++; rw.WriteHeader(409); fmt.Fprintln(rw, size) }),
		"redirect":                    http.RedirectHandler(target.URL, http.StatusTemporaryRedirect),
		"unknown_log":                 answer(404, ""),
		"unknown_key":                 answer(403, ""),
		"broken":                      answer(500, ""),
	} {
		t.Run(name, func(t *testing.T) {
			cs, err := w.serve(t, h).Add(t.Context(), l.sign(80), l.tree(80), 0, l.prove)
			if err == nil || errors.Is(err, ErrDiverged) {
				t.Errorf("%+v, %v", cs, err)
			}
			if name == "conflict_with_itself" && !strings.Contains(err.Error(), "contradicts itself") {
				t.Errorf("error: %v", err)
			}
		})
	}
	t.Run("genuine", func(t *testing.T) {
		if _, err := w.serve(t, answer(200, "— other.example AAAAAAAA\n"+genuine)).Add(t.Context(), l.sign(80), l.tree(80), 0, l.prove); err != nil {
			t.Error(err)
		}
	})
	t.Run("proof_that_fails", func(t *testing.T) {
		lost := errors.New("tile is lost")
		_, err := w.serve(t, w).Add(t.Context(), l.sign(95), l.tree(95), 0, func(context.Context, int64, int64) (tlog.TreeProof, error) { return nil, lost })
		if !errors.Is(err, lost) {
			t.Errorf("error: %v", err)
		}
	})
}

func TestNewClientRefuses(t *testing.T) {
	l := newLog(t)
	w := newWitness(t, "w.example", l)
	if _, err := NewClient("https://w.example", l.keys.Current().Public, http.DefaultClient); err == nil {
		t.Error("took the key of a log")
	}
	if _, err := NewClient("w.example", w.public, http.DefaultClient); err == nil {
		t.Error("took an address without scheme")
	}
}
