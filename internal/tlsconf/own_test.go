package tlsconf

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// An own certificate that cannot be made anew is told of long before the one in use ends, and not at every handshake.
func TestOwnCertificateThatCannotBeRenewed(t *testing.T) {
	c, log, dir := newClock(), &bytes.Buffer{}, filepath.Join(t.TempDir(), "own")
	a, err := OpenAuthority(dir, c.now)
	if err != nil {
		t.Fatal(err)
	}
	c.pass(authorityLife/2 - leafLife/2) // the next one takes a new certificate of the authority
	s, err := Open(Options{Door: "pgwire", Own: a, Names: []string{"gate.example"}, Now: c.now, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	told := func() int { return strings.Count(log.String(), "certificate not replaced") }
	away := dir + ".away"
	if err := os.Rename(dir, away); err != nil {
		t.Fatal(err)
	}
	if s.Look(); told() != 0 {
		t.Fatalf("nothing is due yet: %s", log)
	}
	c.pass(leafLife*2/3 + time.Minute)
	for range 3 {
		s.certificate()
		c.pass(lookEvery)
	}
	if told() != 1 || strings.Contains(log.String(), "expires soon") {
		t.Errorf("told %d times: %s", told(), log)
	}
	c.pass(warnEvery)
	if s.Look(); told() != 2 {
		t.Errorf("told %d times in a day: %s", told(), log)
	}
	if err := os.Rename(away, dir); err != nil {
		t.Fatal(err)
	}
	if s.Look(); s.Leaf().NotAfter.Sub(c.now()) < leafLife-time.Hour {
		t.Error("it is not made where it can be again")
	}
	if !s.stuck.IsZero() {
		t.Error("a failure of later may be kept back for this one")
	}
}
