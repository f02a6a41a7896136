package evidence

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit/checkpoint"
	"sallyport/internal/access"
)

// key is a fixed key: reader is all zeros.
func key(t testing.TB, name string) (Signer, string) {
	t.Helper()
	private, public, err := note.GenerateKey(zeros{}, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return s, public
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// tree is a small Merkle tree over records, with a checkpoint.
type tree struct {
	leaves [][]byte
	hashes []tlog.Hash
	head   checkpoint.Checkpoint
	signed []byte
}

func (m *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, m.hashes[i])
	}
	return out, nil
}

// treeOver has size leaves.
func treeOver(t testing.TB, size int) *tree {
	s, _ := key(t, "gate.example/log")
	m := &tree{}
	for i := range size {
		leaf := fmt.Appendf(nil, "sealed record %d", i+1)
		h, err := tlog.StoredHashes(int64(i), leaf, m)
		if err != nil {
			t.Fatal(err)
		}
		m.leaves, m.hashes = append(m.leaves, leaf), append(m.hashes, h...)
	}
	root, err := tlog.TreeHash(int64(size), m)
	if err == nil {
		m.head = checkpoint.Checkpoint{Origin: "gate.example/log", Tree: tlog.Tree{N: int64(size), Hash: root}}
		m.signed, err = checkpoint.Sign(m.head, s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *tree) Checkpoint() (checkpoint.Checkpoint, []byte) { return m.head, m.signed }

func (m *tree) Prove(pos uint64) ([]byte, tlog.RecordProof, error) {
	proof, err := tlog.ProveRecord(int64(len(m.leaves)), int64(pos-1), m)
	return m.leaves[pos-1], proof, err
}

func planOf(t testing.TB, p access.PlanRecord) json.RawMessage {
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// day is a session of an agent with n steps, from position 2, in the order of the log; the first record is its task's.
func day(t testing.TB, n int) []*access.Record {
	at := time.Date(2026, 11, 23, 14, 2, 11, 123e6, time.UTC)
	const session, task = "mcp-4f1c9a6be2d7403f", "task-7f3a"
	recs := []*access.Record{{Position: 1, Time: at, Kind: access.RecordTask, Door: access.DoorMCP, Principal: "ana", Actor: "support-agent", Task: task,
		Goal: "find out why order 1042 has not been delivered", Ticket: "OPS-231"}}
	add := func(kind access.RecordKind, rec access.Record) *access.Record {
		at = at.Add(1234567 * time.Microsecond)
		rec.Position, rec.Session, rec.Seq, rec.Time, rec.Kind = uint64(len(recs)+1), session, uint64(len(recs)), at, kind
		rec.Door, rec.Connection, rec.Principal, rec.Actor = access.DoorMCP, "shop", "ana", "support-agent"
		if kind != access.RecordOpen && kind != access.RecordClose {
			rec.Task = task
		}
		recs = append(recs, &rec)
		return &rec
	}
	add(access.RecordOpen, access.Record{Behind: []string{"router"},
		Proof:  &access.Proof{Method: access.ByAccessToken, Issuer: "https://id.example", Subject: "8f2c", Client: "support-agent", Token: strings.Repeat("5a", 32), Issued: time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC), Expires: time.Date(2026, 11, 23, 14, 30, 0, 0, time.UTC)},
		Client: "127.0.0.1:53412 claude-desktop", Groups: []string{"agents", "support"}})
	read := planOf(t, access.PlanRecord{Class: access.ClassRead, Tag: "SELECT", Fingerprint: "50fde20626009aba", Relations: []string{"read public.customers", "read public.orders"},
		Labels: []access.Label{"pii.email", "pii.name"}, Masks: []access.MaskApplied{{Column: "public.customers.email", Label: "pii.email", Transform: "token"}},
		Shown:  []access.ColumnShown{{Column: "public.customers.name", Labels: []access.Label{"pii.name"}}},
		Effect: "allow", Policies: []string{"agents-read"}, PolicyVersion: "p1", CatalogVersion: "c1", Compiled: true,
		Obligations: &access.Obligations{Rows: 200, Timeout: 10 * time.Second, Reason: true, Probes: []access.ProbeBudget{{Most: 10, Window: time.Hour}}}})
	for i := range n {
		switch i % 5 {
		case 0, 1:
			add(access.RecordStatement, access.Record{Reason: "customer asks where order 1042 is", SQL: fmt.Sprintf("SELECT c.id, c.name, c.email\n  FROM customers c\n JOIN orders o ON o.customer_id = c.id WHERE o.id = $1 -- %d", i),
				Params: []string{strconv.Itoa(1042 + i), "[email]", "NULL"}, Nulls: []int{3}, Plan: read, Rows: 1, Bytes: 70, Columns: []string{"id", "name", "email"},
				Digest: hex.EncodeToString(bytes.Repeat([]byte{byte(i)}, 32)), Detected: 1, Command: "SELECT 1", Micros: 1234})
		case 2:
			add(access.RecordRefused, access.Record{Reason: "see salaries", SQL: "SELECT salary FROM payroll.salaries", Plan: planOf(t, access.PlanRecord{Class: access.ClassRead, Tag: "SELECT",
				Relations: []string{"read payroll.salaries"}, Effect: "deny", Policies: []string{"no-payroll"}, PolicyVersion: "p0"}), Code: "42501", Error: "reading payroll.salaries is not permitted", Hint: "ask for read"})
		case 3:
			in := add(access.RecordIntent, access.Record{Reason: "correct the note", SQL: "UPDATE orders SET note = 'x' WHERE id = 1042", Plan: planOf(t, access.PlanRecord{Class: access.ClassWrite, Tag: "UPDATE",
				Relations: []string{"write public.orders"}, Effect: "allow", Policies: []string{"agents-write"}, PolicyVersion: "p1"})})
			add(access.RecordOutcome, access.Record{Intent: in.Position, Command: "UPDATE 1", Micros: 99})
		case 4:
			add(access.RecordStatement, access.Record{SQL: "SELECT 1/0", Plan: planOf(t, access.PlanRecord{Class: access.ClassRead, Tag: "SELECT", Effect: "allow", Policies: []string{"agents-read"}, PolicyVersion: "p1"}),
				Code: "22012", Error: "division by zero"})
		}
	}
	add(access.RecordClose, access.Record{Rows: int64(len(recs))})
	return recs
}

func input(t testing.TB, recs []*access.Record) *Input {
	s, public := key(t, "gate.example/log")
	return &Input{Scope: Scope{Session: "mcp-4f1c9a6be2d7403f"}, Records: recs, Generator: "sallyport test", Signer: s, Public: public, Prover: treeOver(t, len(recs)+3),
		Policy:   Texts{Version: "p1", Files: []File{{"policy.cedar", []byte("permit (principal, action, resource);")}}, Purposes: map[string]string{"agents-read": "support"}},
		Labels:   []File{{"shop.labels.yaml", []byte("connection: shop\n")}},
		Purposes: []access.Purpose{{ID: "support", Text: "answering customers", LawfulBasis: "contract"}, {ID: "other", Text: "not referred to", LawfulBasis: "consent"}}}
}

// bundle makes one and gives its files, after checks that hold for each bundle.
func bundle(t testing.TB, in *Input) map[string][]byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := Write(&out, in); err != nil {
		t.Fatal(err)
	}
	files := open(t, out.Bytes())
	valid(t, files[traceName])
	attested(t, files)
	return files
}

func open(t testing.TB, data []byte) map[string][]byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	var names []string
	for _, f := range z.File {
		if !fs.ValidPath(f.Name) || strings.ContainsAny(f.Name, "\\:\x00") || !f.Modified.Equal(zipTime) || f.Mode() != 0o644 {
			t.Errorf("a file called %q of %s, mode %s", f.Name, f.Modified, f.Mode())
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		names = append(names, f.Name)
	}
	if !slices.IsSorted(names) || len(files) != len(names) {
		t.Errorf("names are not sorted, or not unique: %q", names)
	}
	return files
}

// valid holds trace.json against the schema with a validator of others.
func valid(t testing.TB, doc []byte) {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AddResource(SchemaID, parsed); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(SchemaID)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(v); err != nil {
		t.Errorf("trace.json is not what the schema says: %v", err)
	}
}

// attested checks envelope, signature and digests as somebody would who has the specifications of DSSE v1 and in-toto
// Statement v1, and no code of ours.
func attested(t testing.TB, files map[string][]byte) {
	t.Helper()
	var env struct {
		PayloadType, Payload string
		Signatures           []struct{ KeyID, Sig string }
	}
	if err := json.Unmarshal(files[attestationName], &env); err != nil {
		t.Fatal(err)
	}
	payload, err := base64.StdEncoding.DecodeString(env.Payload)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(files["key.pem"])
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := base64.StdEncoding.DecodeString(env.Signatures[0].Sig)
	msg := "DSSEv1 " + strconv.Itoa(len(env.PayloadType)) + " " + env.PayloadType + " " + strconv.Itoa(len(payload)) + " " + string(payload)
	if err != nil || env.PayloadType != "application/vnd.in-toto+json" || !ed25519.Verify(public.(ed25519.PublicKey), []byte(msg), sig) {
		t.Errorf("the signature over %s does not verify (%v)", env.PayloadType, err)
	}
	var st struct {
		Type    string `json:"_type"`
		Subject []struct {
			Name   string
			Digest struct{ SHA256 string }
		}
		PredicateType string
	}
	if err := json.Unmarshal(payload, &st); err != nil {
		t.Fatal(err)
	}
	if st.Type != "https://in-toto.io/Statement/v1" || st.PredicateType == "" || len(st.Subject) != len(files)-1 {
		t.Errorf("a statement of type %s with %d subjects for %d files", st.Type, len(st.Subject), len(files))
	}
	for _, s := range st.Subject {
		if sum := sha256.Sum256(files[s.Name]); s.Digest.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("the digest of %s is not that of the file", s.Name)
		}
	}
}

func decode(t testing.TB, files map[string][]byte) *Document {
	t.Helper()
	var d Document
	if err := json.Unmarshal(files[traceName], &d); err != nil {
		t.Fatal(err)
	}
	return &d
}
