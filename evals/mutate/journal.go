package mutate

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// journal keeps verdicts from one run to the next, so that one that was interrupted goes on.
//
// A verdict holds in the world it was found in. That a test fails depends on its binary alone, that none
// does on all of them. Of a verdict whose world is gone, the test that killed is kept as a hint: it is run
// first, and most often is all that has to run.
type journal struct {
	name  string
	all   string            // the world of what lives: hash of all binaries
	bins  map[string]string // the world of what a test of a package kills: hash of its binary
	mu    sync.Mutex
	known map[string]verdict // guarded by mu, by key
	hints map[string]string  // the last test that killed, by key
}

func openJournal(name, all string, bins map[string]string) (*journal, error) {
	j := &journal{name: name, all: all, bins: bins, known: map[string]verdict{}, hints: map[string]string{}}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return j, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		w := strings.Split(s.Text(), "\t")
		if len(w) != 4 {
			continue // cut off when the last run ended
		}
		v, key := verdict{state(w[1]), w[2]}, w[3]
		if w[0] == j.world(v) {
			j.known[key] = v
		}
		if v.state == killed {
			j.hints[key] = v.by
		}
	}
	return j, s.Err()
}

// world is the hash of what a verdict depends on.
func (j *journal) world(v verdict) string {
	if v.state == killed {
		pkg, _, _ := strings.Cut(v.by, " ")
		return j.bins[pkg]
	}
	return j.all
}

func (j *journal) add(key string, v verdict) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.known[key] = v
	f, err := os.OpenFile(j.name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintf(f, "%s\t%s\t%s\t%s\n", j.world(v), v.state, v.by, key)
	return err
}

func (j *journal) get(key string) (verdict, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	v, ok := j.known[key]
	return v, ok
}

// killers are, by function, a test that killed a mutant there: what kills one often kills its neighbours.
func (j *journal) killers(points []point) map[string]string {
	out := map[string]string{}
	for _, p := range points {
		if by := j.hints[p.key]; by != "" {
			out[p.function()] = by
		}
	}
	return out
}

func journalName(out, stage string) string { return filepath.Join(out, "verdicts-"+stage+".tsv") }
