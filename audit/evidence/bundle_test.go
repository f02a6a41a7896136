package evidence

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
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
	add(access.RecordOpen, access.Record{Client: "127.0.0.1:53412 claude-desktop", Groups: []string{"agents", "support"}})
	read := planOf(t, access.PlanRecord{Class: access.ClassRead, Tag: "SELECT", Fingerprint: "50fde20626009aba", Relations: []string{"read public.customers", "read public.orders"},
		Labels: []access.Label{"pii.email", "pii.name"}, Masks: []access.MaskApplied{{Column: "public.customers.email", Label: "pii.email", Transform: "token"}},
		Shown:  []access.ColumnShown{{Column: "public.customers.name", Labels: []access.Label{"pii.name"}}},
		Effect: "allow", Policies: []string{"agents-read"}, PolicyVersion: "p1", CatalogVersion: "c1", Compiled: true,
		Obligations: &access.Obligations{Rows: 200, Timeout: 10 * time.Second, Reason: true, Probes: []access.ProbeBudget{{Most: 10, Window: time.Hour}}}})
	for i := range n {
		switch i % 5 {
		case 0, 1:
			add(access.RecordStatement, access.Record{Reason: "customer asks where order 1042 is", SQL: fmt.Sprintf("SELECT c.id, c.name, c.email\n  FROM customers c\n JOIN orders o ON o.customer_id = c.id WHERE o.id = $1 -- %d", i),
				Params: []string{strconv.Itoa(1042 + i), "[email]", "NULL"}, Plan: read, Rows: 1, Bytes: 70, Columns: []string{"id", "name", "email"},
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

func TestBundleHoldsWhatItPromises(t *testing.T) {
	in := input(t, day(t, 5))
	in.Leaves = true
	files := bundle(t, in)
	d := decode(t, files)
	for _, name := range []string{"VERIFY.md", "attestation.dsse.json", "checkpoint", "key.pem", "key.pub", "labels/01-shop.labels.yaml", "policy/01-policy.cedar", "proofs/1.tlog-proof", "proofs/9.tlog-proof", "proofs/9.leaf", "trace.html", "trace.json", "trace.schema.json"} {
		if len(files[name]) == 0 {
			t.Errorf("%s is not there, or empty", name)
		}
	}
	want := Summary{Sessions: 2, Steps: 5, Allowed: 3, Refused: 1, Failed: 1, Rows: 2, Bytes: 140}
	if d.Summary != want {
		t.Errorf("summary %+v", d.Summary)
	}
	s := d.Sessions[1]
	if !s.Complete || s.Subject != "ana" || s.Client == "" || len(s.Actors) != 1 || len(s.Groups) != 2 || s.Opened != 2 || s.Closed != 9 {
		t.Errorf("session %+v", s)
	}
	if len(d.Tasks) != 1 || d.Tasks[0].Ticket != "OPS-231" || d.Tasks[0].Declared == nil {
		t.Errorf("tasks %+v", d.Tasks)
	}
	read := s.Steps[0]
	if read.Task != "task-7f3a" || read.Fingerprint == "" || read.Decision.PolicyVersion != "p1" || read.Decision.Obligations.TimeoutMS != 10_000 || read.Masks.Columns != 1 || read.Masks.Detected != 1 || read.Digest == "" {
		t.Errorf("step %+v", read)
	}
	if len(read.Columns) != 2 || !read.Columns[0].Masked || read.Columns[1].Masked || read.Columns[1].Label != "pii.name" {
		t.Errorf("columns %+v", read.Columns)
	}
	if write := s.Steps[3]; !slices.Equal(write.Positions, []uint64{6, 7}) || write.Outcome != Allowed {
		t.Errorf("step %+v", write)
	}
	// The policies say of the version in force alone what they are for, and only that text is in the bundle.
	if !slices.Equal(read.Purposes, []string{"support"}) || len(d.Purposes) != 1 || d.Purposes[0].LawfulBasis != "contract" {
		t.Errorf("purposes %v of %+v", read.Purposes, d.Purposes)
	}
	if len(d.Policies) != 2 || d.Policies[0].Included || !d.Policies[1].Included || d.Policies[1].Steps != 4 {
		t.Errorf("policies %+v", d.Policies)
	}
	if strings.Contains(string(files[traceName]), `"1042"`) {
		t.Error("the value of a parameter is in the bundle")
	}
	for _, l := range d.Limits {
		if !strings.Contains(string(files["VERIFY.md"]), l) || !strings.Contains(parse(t, files["trace.html"]).text, l) {
			t.Errorf("guide or page do not say: %s", l)
		}
	}
	if len(d.Limits) < 10 {
		t.Errorf("limits %q", d.Limits)
	}
}

// TestNewerThanTheCheckpoint: what has no proof yet is named as such.
func TestNewerThanTheCheckpoint(t *testing.T) {
	in := input(t, day(t, 4))
	in.Prover = treeOver(t, 6)
	files := bundle(t, in)
	d := decode(t, files)
	if d.Log.Proven != 6 || d.Log.Records != 8 || d.Records[6].Leaf != "" || d.Records[5].Leaf == "" || files["proofs/7.tlog-proof"] != nil {
		t.Errorf("%+v", d.Log)
	}
	if !strings.Contains(string(files["VERIFY.md"]), "The last 2 records were newer") || strings.Contains(string(files["VERIFY.md"]), "Every record that it speaks of") {
		t.Error("the guide does not say it")
	}
}

// TestProofsVerify follows each record to the checkpoint with x/mod's tlog.
func TestProofsVerify(t *testing.T) {
	in := input(t, day(t, 4))
	files := bundle(t, in)
	v, err := note.NewVerifier(in.Public)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(files["checkpoint"], note.VerifierList(v))
	if err != nil {
		t.Fatal(err)
	}
	head, err := tlog.ParseTree([]byte("go.sum database tree\n" + strings.SplitN(n.Text, "\n", 2)[1]))
	if err != nil {
		t.Fatal(err)
	}
	d := decode(t, files)
	if sum := sha256.Sum256(files["checkpoint"]); d.Log.Checkpoint != hex.EncodeToString(sum[:]) {
		t.Error("trace.json names another checkpoint")
	}
	for _, r := range d.Records {
		text := string(files[fmt.Sprintf("proofs/%d.tlog-proof", r.Position)])
		lines := strings.Split(text[:strings.Index(text, "\n\n")], "\n")
		if lines[0] != "c2sp.org/tlog-proof@v1" || lines[1] != fmt.Sprintf("index %d", r.Position-1) {
			t.Fatalf("proof %q", lines)
		}
		var proof tlog.RecordProof
		for _, l := range lines[2:] {
			h, err := tlog.ParseHash(l)
			if err != nil {
				t.Fatal(err)
			}
			proof = append(proof, h)
		}
		leaf, _ := hex.DecodeString(r.Leaf)
		if err := tlog.CheckRecord(proof, head.N, head.Hash, int64(r.Position-1), tlog.Hash(leaf)); err != nil {
			t.Errorf("record %d: %v", r.Position, err)
		}
	}
}

func TestSameRecordsGiveTheSameBytes(t *testing.T) {
	var first []byte
	for range 3 {
		var out bytes.Buffer
		if _, err := Write(&out, input(t, day(t, 12))); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = out.Bytes()
		} else if !bytes.Equal(first, out.Bytes()) {
			t.Fatal("the bundle differs from the one before")
		}
	}
}

// TestParameterCanBeCheckedByWhoKnowsIt does what VERIFY.md says.
func TestParameterCanBeCheckedByWhoKnowsIt(t *testing.T) {
	d := decode(t, bundle(t, input(t, day(t, 2))))
	steps := d.Sessions[1].Steps
	for i, want := range []struct {
		typ, value string
		hidden     bool
	}{{"integer", "1042", false}, {"text", "[email]", true}, {"null", "NULL", false}} {
		p := steps[0].Parameters[i]
		salt, err := hex.DecodeString(p.Salt)
		if err != nil || len(salt) != 16 {
			t.Fatalf("salt %q", p.Salt)
		}
		sum := sha256.Sum256([]byte(string(salt) + want.typ + "\x00" + want.value))
		if p.Type != want.typ || p.SHA256 != hex.EncodeToString(sum[:]) || p.Hidden != want.hidden || p.Number != i+1 {
			t.Errorf("parameter %+v of %s", p, want.value)
		}
	}
	if a, b := steps[0].Parameters[1], steps[1].Parameters[1]; a.SHA256 == b.SHA256 || a.Salt == b.Salt {
		t.Error("equal values look equal")
	}
}

func TestErasedRecordsAppearAsErased(t *testing.T) {
	recs := day(t, 5)
	for i, r := range recs {
		switch i {
		case 2: // content only: decision and counts stay
			r.SQL, r.Params, r.Reason, r.Erased = "", nil, "", true
		case 3, 5, 6: // all but the head
			recs[i] = &access.Record{Position: r.Position, Session: r.Session, Seq: r.Seq, Time: r.Time, Kind: r.Kind, Intent: r.Intent, Erased: true}
		}
	}
	files := bundle(t, input(t, recs))
	d := decode(t, files)
	s := d.Sessions[1]
	if !s.Complete {
		t.Error("erasing made the session incomplete")
	}
	got := map[uint64]Outcome{}
	for _, st := range s.Steps {
		if st.Erased != (st.Position == 3 || st.Position == 4 || st.Position == 6) {
			t.Errorf("record %d: erased is %v", st.Position, st.Erased)
		}
		got[st.Position] = st.Outcome
	}
	if got[3] != Allowed || got[4] != Erased || got[5] != Refused || got[6] != Erased || d.Summary.Erased != 2 {
		t.Errorf("outcomes %v", got)
	}
	for _, r := range d.Records {
		if r.Leaf == "" {
			t.Errorf("record %d has no proof any more", r.Position)
		}
	}
	if !strings.Contains(string(files["trace.html"]), "has been erased") || !strings.Contains(string(files["VERIFY.md"]), "were erased") {
		t.Error("page or guide do not say it")
	}
}

// TestErasureIsNoAnswer: the rows of such a record are records, not something released.
func TestErasureIsNoAnswer(t *testing.T) {
	recs := day(t, 1)
	recs = append(recs, &access.Record{Position: recs[len(recs)-1].Position + 1, Time: recs[0].Time, Kind: access.RecordErased, Principal: "dpo", Reason: "asked to", Rows: 99})
	d := decode(t, bundle(t, input(t, recs)))
	st := d.Sessions[0].Steps[len(d.Sessions[0].Steps)-1]
	if d.Summary.Rows != 1 || d.Summary.Steps != 1 || st.Outcome != Declared || st.Command != "ERASURE OF 99 RECORDS" || st.Reason != "asked to" {
		t.Errorf("%+v, %+v", d.Summary, st)
	}
}

func TestNamesOfFilesCannotLeadOut(t *testing.T) {
	in := input(t, day(t, 1))
	for _, name := range []string{"../../etc/passwd", `..\..\boot.ini`, "/abs/a.cedar", "a.cedar", "b/a.cedar", "", ".", "..", "C:evil", "x\x00y\n\u202e", strings.Repeat("n", 5000) + ".cedar", "trace.json"} {
		in.Policy.Files = append(in.Policy.Files, File{name, []byte("text of " + name)})
		in.Extra = append(in.Extra, File{name, nil})
	}
	files := bundle(t, in) // checks each name
	if n := len(in.Policy.Files) + len(in.Extra); len(files) < n {
		t.Errorf("%d files for %d", len(files), n)
	}
}

type broken struct{ Prover }

func (broken) Prove(uint64) ([]byte, tlog.RecordProof, error) { return nil, nil, errors.New("not yet") }

func TestWhatCannotBeProvenOrSignedIsRefused(t *testing.T) {
	for name, change := range map[string]func(*Input){
		"a record without a proof": func(in *Input) { in.Prover = broken{in.Prover} },
		"no key":                   func(in *Input) { in.Signer = nil },
		"another public key": func(in *Input) {
			k, err := note.NewEd25519VerifierKey("gate.example/log", bytes.Repeat([]byte{7}, 32))
			if err != nil {
				t.Fatal(err)
			}
			in.Public = k
		},
		"a public key that is none": func(in *Input) { in.Public = "gate.example/log" },
		"no records":                func(in *Input) { in.Records = nil },
	} {
		in := input(t, day(t, 1))
		change(in)
		var out bytes.Buffer
		if _, err := Write(&out, in); err == nil || out.Len() > 0 {
			t.Errorf("%s: %v, %d bytes", name, err, out.Len())
		}
	}
	in := input(t, day(t, 1))
	in.Prover = nil
	files := bundle(t, in)
	if !strings.Contains(string(files["VERIFY.md"]), "made without proofs") || decode(t, files).Log.Proven > 0 || !strings.Contains(string(files["trace.html"]), "made without proofs") {
		t.Error("a bundle without proofs does not say so")
	}
}

func TestPublishedSchemaIsTheOneInUse(t *testing.T) {
	published, err := os.ReadFile("../../docs/schema/trace-1.schema.json")
	if err != nil || !bytes.Equal(published, Schema()) {
		t.Errorf("docs/schema/trace-1.schema.json is not audit/evidence/trace.schema.json: copy it there (%v)", err)
	}
}

// BenchmarkBundle of a session of 1,000 steps, with a proof for each record.
func BenchmarkBundle(b *testing.B) {
	in := input(b, day(b, 1000))
	b.ReportAllocs()
	for b.Loop() {
		var out bytes.Buffer
		if _, err := Write(&out, in); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(out.Len()), "bytes")
		b.ReportMetric(float64(len(in.Records)), "records")
	}
}

// row is a DataRow message.
func row(values ...string) []byte {
	body := binary.BigEndian.AppendUint16(nil, uint16(len(values)))
	for _, v := range values {
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(v))), v...)
	}
	return append(binary.BigEndian.AppendUint32([]byte{'D'}, uint32(len(body)+4)), body...)
}

// TestStandardToolsVerify runs the commands of VERIFY.md, for a bundle that is whole and for one that is not.
func TestStandardToolsVerify(t *testing.T) {
	for _, tool := range []string{"sh", "jq", "openssl", "sha256sum", "base64"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	files := bundle(t, input(t, day(t, 3)))
	var script []string
	for _, l := range strings.Split(string(files["VERIFY.md"]), "\n") {
		if c, ok := strings.CutPrefix(l, "    "); ok && !strings.Contains(l, "xxd") && !strings.HasPrefix(c, "gate.example/log+") {
			script = append(script, strings.ReplaceAll(c, "/tmp/", "../"))
		}
	}
	if len(script) < 7 {
		t.Fatalf("commands %q", script)
	}
	for _, c := range []struct {
		name, file string
		ok         bool
	}{{"whole", "", true}, {"a changed file", "trace.json", false}, {"a changed envelope", attestationName, false}, {"one file more", "proofs/77.tlog-proof", false}} {
		dir := t.TempDir() + "/bundle"
		for name, data := range files {
			if name == c.file {
				data = slices.Clone(data)
				data[len(data)/2] ^= 1 // of an envelope, a character of the payload
			}
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if files[c.file] == nil && c.file != "" {
			if err := os.WriteFile(filepath.Join(dir, c.file), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command("sh", "-ec", strings.Join(script, "\n"))
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if (err == nil) != c.ok || c.ok && !strings.Contains(string(out), "Signature Verified Successfully") {
			t.Errorf("%s: %v\n%s", c.name, err, out)
		}
	}
}
