package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit"
	"sallyport/internal/access"
)

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
	if !s.Complete || s.Subject != "ana" || s.Client == "" || !slices.Equal(s.Actors, []string{"support-agent", "router"}) || len(s.Groups) != 2 || s.Opened != 2 || s.Closed != 9 {
		t.Errorf("session %+v", s)
	}
	if id := s.Identity; id == nil || id.Issuer != "https://id.example" || id.Subject != "8f2c" || id.Token != strings.Repeat("5a", 32) || id.Expires == nil || id.Authenticated != nil ||
		id.Description != "access token of https://id.example (sub 8f2c, client support-agent), until 14:30" || !strings.Contains(string(files["trace.html"]), id.Token) {
		t.Errorf("identity %+v", id)
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
	if d.Summary.Rows != 1 || d.Summary.Steps != 1 || st.Outcome != Declared || st.Command != "ERASED THE CONTENT OF 99 RECORDS" || st.Reason != "asked to" {
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
			t.Fatalf("%s is not installed: scripts/deps.sh test", tool)
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

// Who logs in has no session yet: the step, in the gateway's own session, says itself by what and who they are.
func TestALogInSaysWhoItWas(t *testing.T) {
	at := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	proof := &access.Proof{Method: access.ByIDToken, Issuer: "https://id.example", Subject: "8f2c", Credential: "5a14", Expires: at.Add(time.Hour)}
	recs := []*access.Record{
		{Position: 1, Session: "sys_1", Seq: 1, Kind: access.RecordLogin, Time: at, Principal: "ana", Door: access.DoorWeb, Client: "192.0.2.7:4000", Proof: proof},
		{Position: 2, Session: "s_1", Seq: 1, Kind: access.RecordOpen, Time: at, Principal: "ana", Door: access.DoorPGWire, Connection: "shop", Proof: proof},
		{Position: 3, Session: "s_1", Seq: 2, Kind: access.RecordStatement, Time: at, Principal: "ana", Door: access.DoorPGWire, Connection: "shop", SQL: "SELECT 1"},
	}
	in := input(t, recs)
	in.Scope = Scope{Principal: "ana"}
	files := bundle(t, in)
	d := decode(t, files)
	if id := d.Sessions[0].Steps[0].Identity; id == nil || id.Credential != "5a14" || id.Subject != "8f2c" {
		t.Errorf("the log-in: %+v", d.Sessions[0].Steps[0])
	}
	if id := d.Sessions[1].Steps[0].Identity; id != nil || d.Sessions[1].Identity == nil {
		t.Errorf("a statement repeats what its session says: %+v", id)
	}
	if n := strings.Count(string(files["trace.html"]), "id token of https://id.example (sub 8f2c, credential 5a14)"); n < 2 {
		t.Errorf("trace.html says %d times by what ana was proven", n)
	}
	var text strings.Builder
	if err := audit.Render(&text, recs[:1], audit.RenderOptions{}); err != nil || !strings.Contains(text.String(), "who       ana") || !strings.Contains(text.String(), "sub 8f2c") || !strings.Contains(text.String(), "192.0.2.7:4000") {
		t.Errorf("%v\n%s", err, &text)
	}
}
