package vouch

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/audit"
	"sallyport/audit/checkpoint"
	"sallyport/audit/cosignature"
	"sallyport/audit/evidence"
	"sallyport/audit/timestamp"
	"sallyport/audit/verify"
	"sallyport/internal/access"
	"sallyport/internal/testtsa"
)

// vouchedLog is a log of two sessions that two of two witnesses and an authority have seen.
func vouchedLog(t *testing.T) (dir string, o Options, roots *x509.CertPool) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "log")
	l := aLog(t, dir)
	tsa := testtsa.New(t)
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(tsa.Roots)
	o = options(t, dir, 2, newWitness(t, "a.example", dir), newWitness(t, "b.example", dir))
	o.Authorities, o.Roots = []*timestamp.Client{{URL: tsa.URL, Roots: roots, HTTP: http.DefaultClient}}, tsa.Roots
	v := start(t, o)
	for i := range 2 {
		for j, kind := range []access.RecordKind{access.RecordOpen, access.RecordStatement, access.RecordClose} {
			rec := &access.Record{Session: fmt.Sprintf("s%d", i), Seq: uint64(j + 1), Kind: kind, Time: time.Unix(1, 0)}
			if kind == access.RecordClose {
				rec.Rows = 3
			}
			if _, err := l.Append(rec); err != nil {
				t.Fatal(err)
			}
		}
	}
	until(t, dir, func(s *Standing) bool { return s.Stamp != nil && s.Quorum == 6 })
	closeAll(t, l, v)
	return dir, o, roots
}

func stampBy(roots *x509.CertPool) func(token, data []byte) (time.Time, string, error) {
	return func(token, data []byte) (time.Time, string, error) {
		s, err := timestamp.Verify(token, data, roots)
		return s.Time, s.Authority, err
	}
}

func holds(t *testing.T, what string, lines []string, wants ...string) {
	t.Helper()
	text := strings.Join(lines, "\n")
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%s: no %q in\n%s", what, want, text)
		}
	}
}

// The verifier, which shares no code with what asks, says what others have seen of a log.
func TestVerifierReadsWhatVouches(t *testing.T) {
	dir, o, roots := vouchedLog(t)
	r, err := verify.Trust{Witnesses: &o.Policy, Stamp: stampBy(roots)}.Dir(dir)
	if err != nil || !r.Good() {
		t.Fatalf("%+v, %v", r, err)
	}
	holds(t, "trusted", r.Proven, "witnessed up to record 6 by 2 of 2, of whom 2 are needed", "a.example saw 6 at ", "were there at ", "CN=Test Authority")

	r, err = verify.Trust{}.Dir(dir)
	if err != nil || !r.Good() {
		t.Fatalf("%+v, %v", r, err)
	}
	holds(t, "nothing given", r.Unproven, "whose keys the 2 witnesses' are", "what 1 timestamps say")

	three := o.Policy
	three.Witnesses = append(three.Witnesses[:2:2], cosignature.PolicyWitness{Name: "c.example", Key: newWitness(t, "c.example", dir).key})
	three.Quorum = 3
	r, err = verify.Trust{Witnesses: &three}.Dir(dir)
	if err != nil || !r.Good() {
		t.Fatalf("%+v, %v", r, err)
	}
	holds(t, "too few", r.Unproven, "2 of 3 witnesses have cosigned it, and 3 are needed")

	// What a witness has seen of a log whose end was cut off, and that was signed again by whoever has its key.
	forged := filepath.Join(t.TempDir(), "log")
	fork := aLogWithKey(t, forged, filepath.Join(dir, "signing"))
	if err := os.CopyFS(filepath.Join(fork, Folder), os.DirFS(filepath.Join(dir, Folder))); err != nil {
		t.Fatal(err)
	}
	r, err = verify.Trust{Witnesses: &o.Policy, Stamp: stampBy(roots)}.Dir(fork)
	if err != nil || r.Good() {
		t.Fatalf("%+v, %v", r, err)
	}
	holds(t, "fork", r.Problems, "has cosigned is of other records than these: the log was rolled back or forked", "timestamp.")
	if s, err := Read(fork, &o.Policy, roots); err != nil || s.Quorum != 0 || len(s.Problems) < 2 || !strings.Contains(s.Problems[0], "other records") {
		t.Errorf("%+v, %v", s, err)
	}
}

// aLogWithKey is another log that signs with a log's key.
func aLogWithKey(t *testing.T, dir, keys string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "signing"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{checkpoint.PrivateFile: 0o600, checkpoint.PublicFile: 0o644} {
		b, err := os.ReadFile(filepath.Join(keys, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "signing", name), b, mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	l := aLog(t, dir)
	grow(t, l, 7)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A bundle of a session has its proofs against a checkpoint that the witnesses have cosigned, and a timestamp that covers it.
func TestBundlesSayWhoVouches(t *testing.T) {
	dir, o, roots := vouchedLog(t)
	l := aLog(t, dir) // it goes on, and nobody has seen what comes now
	grow(t, l, 4)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	p, err := audit.OpenProver(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	s, err := Read(dir, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.At(s.Best); err != nil {
		t.Fatal(err)
	}
	scope := evidence.Scope{Session: "s0"}
	recs, err := evidence.Collect(audit.Whole(dir), scope)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := checkpoint.LoadSigner(filepath.Join(dir, "signing"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := StampFor(dir, p, 1, 6)
	if err != nil || st == nil {
		t.Fatal(st, err)
	}
	in := &evidence.Input{Scope: scope, Records: recs, Prover: p, Signer: signer, Public: p.Keys().Current().Public,
		Vouched: evidence.Vouched{Policy: o.Policy.Format(), Stamped: st.Checkpoint, Token: st.Token, Grown: st.Grown}}
	bundle := func() *bytes.Reader {
		var b bytes.Buffer
		if _, err := evidence.Write(&b, in); err != nil {
			t.Fatal(err)
		}
		return bytes.NewReader(b.Bytes())
	}
	b := bundle()
	r, err := verify.Trust{Key: in.Public, Witnesses: &o.Policy, Stamp: stampBy(roots)}.Bundle(b, b.Size())
	if err != nil || !r.Good() {
		t.Fatalf("%+v, %v", r, err)
	}
	holds(t, "bundle", r.Proven, "3 records are in the log", "which had 6 when", "witnessed up to record 6 by 2 of 2", "CN=Test Authority")

	fork := aLogWithKey(t, filepath.Join(t.TempDir(), "log"), filepath.Join(dir, "signing"))
	other, err := audit.OpenProver(fork)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.At(s.Best); err == nil {
		t.Error("proofs of one log against the checkpoint of another")
	}
	_, in.Vouched.Stamped = other.Checkpoint() // a checkpoint by the same key that the authority has not seen
	b = bundle()
	if r, err = (verify.Trust{Stamp: stampBy(roots)}).Bundle(b, b.Size()); err != nil || r.Good() {
		t.Fatalf("%+v, %v", r, err)
	}
	holds(t, "other data", r.Problems, "the timestamp: ")
}
