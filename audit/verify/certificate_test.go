package verify_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"sallyport/audit"
	"sallyport/audit/checkpoint"
	"sallyport/audit/evidence"
	"sallyport/audit/office"
	"sallyport/audit/verify"
	"sallyport/internal/access"
)

// erasedLog is a log in which a person was erased by two, with a hold; the certificate of it, and the signer.
func erasedLog(t *testing.T) (dir string, cert []byte, key note.Signer, public string) {
	t.Helper()
	dir = t.TempDir()
	l, err := audit.Open(dir, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 9 {
		rec := &access.Record{Time: time.Now(), Kind: access.RecordRefused, SQL: fmt.Sprintf("select '%d', 'jane%d@example.org'", i, i%3)}
		if _, err := l.Append(rec); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Hold(access.Scope{Person: "select '7'"}, "counsel", "case 4"); err != nil {
		t.Fatal(err)
	}
	p, _, err := l.Propose(audit.Erasure{Person: "Jane1@example.org"}, "ada", "request 7")
	if err != nil {
		t.Fatal(err)
	}
	_, out, err := l.Confirm(p.ID, "bob", false)
	if err != nil || out.Records != 3 || len(out.Held) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	if _, err := l.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	prover, err := audit.OpenProver(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer prover.Close()
	if key, err = checkpoint.LoadSigner(filepath.Join(dir, "signing")); err != nil {
		t.Fatal(err)
	}
	public = prover.Keys().Current().Public
	if cert, err = evidence.Certify(prover, out.Position, out.Salt, key, nil); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, cert, key, public
}

func TestCertificatesAreVerified(t *testing.T) {
	dir, cert, _, public := erasedLog(t)
	path := filepath.Join(t.TempDir(), "erasure.json")
	if err := os.WriteFile(path, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := verify.Trust{Key: filepath.Join(dir, "signing", "checkpoint.pub")}.Path(path)
	if err != nil || !r.Good() {
		t.Fatalf("%+v, %v", r, err)
	}
	text := strings.Join(r.Proven, "\n")
	for _, want := range []string{"the key is the one that is trusted", "record 12 of the log sallyport/", "bob, proposed by ada, had the keys of what was asked and answered in 3 records destroyed", `for "request 7"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if text := strings.Join(r.Unproven, "\n"); !strings.Contains(text, "1 records stay under hold h_") || !strings.Contains(text, "backups") {
		t.Error(text)
	}
	if r, err := certified(cert, public+"x"); err != nil || r.Good() {
		t.Errorf("another key is trusted: %+v, %v", r, err)
	}
	// Who knows the identifier can tell that it is about them, and it is not in the certificate.
	c := predicateOf(t, cert)
	scope := c["scope"].(map[string]any)
	salt, _ := hex.DecodeString(scope["person_salt"].(string))
	h := hmac.New(sha256.New, salt)
	h.Write([]byte("jane1@example.org"))
	if hex.EncodeToString(h.Sum(nil)) != scope["person_hmac_sha256"] {
		t.Error("the certificate does not fit the person")
	}
	if bytes.Contains(bytes.ToLower(payloadOf(t, cert)), []byte("jane")) {
		t.Error("the certificate names the person")
	}
	if r, err := (verify.Trust{Key: public}).Dir(dir); err != nil || !r.Good() {
		t.Errorf("%+v, %v", r, err)
	}
}

// Whatever is changed shows, also when it is signed again by the log's own key: the record says otherwise.
func TestForgedCertificatesAreFound(t *testing.T) {
	_, cert, key, public := erasedLog(t)
	if r, err := certified(resigned(t, cert, key, func(map[string]any) {}), public); err != nil || !r.Good() {
		t.Fatalf("signed again as it is: %+v, %v", r, err)
	}
	for name, forge := range map[string]func(c map[string]any){
		"who":       func(c map[string]any) { c["by"] = "eve" },
		"proposer":  func(c map[string]any) { c["proposed_by"] = "eve" },
		"reason":    func(c map[string]any) { c["reason"] = "none" },
		"number":    func(c map[string]any) { c["records"] = 9 },
		"positions": func(c map[string]any) { c["positions"] = [][2]uint64{{1, 3}} },
		"endless": func(c map[string]any) {
			c["positions"] = [][2]uint64{{1, 1 << 62}}
			c["record"].(map[string]any)["position"] = uint64(1 << 63)
		},
		"time":   func(c map[string]any) { c["time"] = "2020-01-01T00:00:00Z" },
		"class":  func(c map[string]any) { c["trace"] = true },
		"holds":  func(c map[string]any) { delete(c, "held") },
		"tagged": func(c map[string]any) { c["tagged"] = 2 },
		"scope":  func(c map[string]any) { c["scope"].(map[string]any)["session"] = "s" },
		"person": func(c map[string]any) { c["scope"].(map[string]any)["person_hmac_sha256"] = strings.Repeat("0", 64) },
		"record": func(c map[string]any) { c["record"].(map[string]any)["position"] = 11 },
		"leaf": func(c map[string]any) {
			c["record"].(map[string]any)["leaf"] = base64.StdEncoding.EncodeToString([]byte("{\"pos\":12,\n\x00\x00\x00\x00"))
		},
		"no_leaf": func(c map[string]any) { c["record"].(map[string]any)["leaf"] = "" },
		"no_keys": func(c map[string]any) { c["record"].(map[string]any)["trace_key"] = "" },
		"another_key": func(c map[string]any) {
			c["record"].(map[string]any)["content_key"] = base64.StdEncoding.EncodeToString(make([]byte, 32))
		},
		"no_proof":     func(c map[string]any) { c["proof"] = "" },
		"out_of_order": func(c map[string]any) { c["positions"] = [][2]uint64{{5, 5}, {2, 2}, {11, 11}} },
	} {
		t.Run(name, func(t *testing.T) {
			r, err := certified(resigned(t, cert, key, forge), public)
			if err != nil || r.Good() {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
	unsigned := bytes.Replace(cert, []byte(`"sig": "`), []byte(`"sig": "AAAA`), 1)
	if r, err := certified(unsigned, public); err == nil && r.Good() {
		t.Error("a certificate without a good signature is good")
	}
	if _, err := certified([]byte(`{"payload":"e30="}`), ""); err == nil {
		t.Error("anything is a certificate")
	}
}

// A certificate that was made after the log's key was replaced is trusted by whoever has the first key.
func TestCertificatesFollowTheKey(t *testing.T) {
	dir, _, _, first := erasedLog(t)
	if _, err := audit.RotateKey(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(dir, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := office.New(l, office.Rules{}, nil).Do(office.Order{Kind: office.Erase, Scope: access.Scope{Person: "jane2@example.org"}, By: "dpo", Why: "request 8"})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := certified(a.Certificate, first); err != nil || !r.Good() {
		t.Errorf("%+v, %v", r, err)
	}
	cut := func(c map[string]any) { delete(c, "key_notes") }
	key, err := checkpoint.LoadSigner(audit.SigningDir(dir))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := certified(resigned(t, a.Certificate, key, cut), first); err == nil && r.Good() {
		t.Error("a key that nobody has introduced is trusted")
	}
}

func certified(data []byte, trusted string) (*verify.Report, error) {
	return verify.Trust{Key: trusted}.Certificate(data)
}

func payloadOf(t *testing.T, cert []byte) []byte {
	t.Helper()
	var env struct{ Payload []byte }
	if err := json.Unmarshal(cert, &env); err != nil {
		t.Fatal(err)
	}
	return env.Payload
}

func predicateOf(t *testing.T, cert []byte) map[string]any {
	t.Helper()
	var st struct{ Predicate map[string]any }
	if err := json.Unmarshal(payloadOf(t, cert), &st); err != nil {
		t.Fatal(err)
	}
	return st.Predicate
}

// resigned changes a certificate and signs it again, so that only what it says is wrong.
func resigned(t *testing.T, cert []byte, key note.Signer, change func(map[string]any)) []byte {
	t.Helper()
	var st map[string]any
	if err := json.Unmarshal(payloadOf(t, cert), &st); err != nil {
		t.Fatal(err)
	}
	change(st["predicate"].(map[string]any))
	payload, err := json.Marshal(st)
	if err != nil {
		t.Fatal(err)
	}
	const kind = "application/vnd.in-toto+json"
	sig, err := key.Sign(fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(kind), kind, len(payload), payload))
	if err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(map[string]any{"payloadType": kind, "payload": payload, "signatures": []any{map[string]any{"sig": sig}}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
