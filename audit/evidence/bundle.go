package evidence

import (
	"archive/zip"
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit/checkpoint"
	"sallyport/audit/internal/show"
	"sallyport/audit/proof"
	"sallyport/internal/access"
)

// Prover gives proofs out of the log's Merkle tree; audit.Prover is one. All of them are about the same checkpoint.
type Prover interface {
	// Checkpoint is a signed checkpoint, and the same as a note (C2SP tlog-checkpoint).
	Checkpoint() (checkpoint.Checkpoint, []byte)
	// Prove gives the bytes of the record at a position, from 1, as the tree has them, and the proof of their inclusion.
	Prove(pos uint64) (payload []byte, proof tlog.RecordProof, err error)
}

// File is a file of the bundle, or one for it.
type File struct {
	Name string
	Data []byte
}

// Texts are the policies in force.
type Texts struct {
	Version  string // that records name
	Files    []File
	Purposes map[string]string // by policy: the purpose that it refers to
}

// Input is what Write makes a bundle of.
type Input struct {
	Scope     Scope
	Records   []*access.Record // as Collect gives them
	Policy    Texts
	Labels    []File
	Purposes  []access.Purpose // the catalogue
	Extra     []File           // what else belongs to the scope, such as a replay; in extra/
	Prover    Prover           // nil: no proofs, and the bundle says so
	Vouched   Vouched          // what others have said of the prover's checkpoint
	Leaves    bool             // with the bytes of the records as the tree has them, proofs/POS.leaf
	Signer    Signer
	Public    string // its public key, in the form of C2SP signed-note
	Generator string // name and version of the program
}

//go:embed trace.schema.json
var schema []byte

// Schema is the JSON schema of trace.json.
func Schema() []byte { return slices.Clone(schema) }

const (
	traceName       = "trace.json"
	attestationName = "attestation.dsse.json"
)

// Write makes a bundle and gives what is in it. The same input makes the same bytes.
func Write(w io.Writer, in *Input) (*Document, error) {
	if len(in.Records) == 0 {
		return nil, &access.Error{Kind: access.Invalid, Code: "02000", Message: "nothing is recorded that matches", Hint: "`sallyport trace` shows what there is"}
	}
	if in.Signer == nil {
		return nil, errors.New("a bundle needs a key to be signed with")
	}
	d := build(in)
	var files []File
	policies := inside("policy", in.Policy.Files)
	for i := range d.Policies {
		if d.Policies[i].Included {
			for _, f := range policies {
				d.Policies[i].Files = append(d.Policies[i].Files, f.Name)
			}
		}
	}
	files = append(files, policies...)
	files = append(files, inside("labels", in.Labels)...)
	files = append(files, inside("extra", in.Extra)...)
	if in.Prover != nil {
		proofs, err := prove(d, in)
		if err != nil {
			return nil, err
		}
		files = append(files, proofs...)
		files = append(files, in.Vouched.files()...)
	}
	pem, err := publicPEM(in.Public)
	if err != nil {
		return nil, err
	}
	d.Limits = limits(d)
	doc, err := marshal(d)
	if err != nil {
		return nil, err
	}
	html, err := page(d)
	if err != nil {
		return nil, err
	}
	files = append(files, File{traceName, doc}, File{"trace.html", html}, File{"trace.schema.json", schema},
		File{"key.pub", []byte(in.Public + "\n")}, File{"key.pem", pem})
	guide, err := instructions(d, in, files)
	if err != nil {
		return nil, err
	}
	files = append(files, File{"VERIFY.md", guide})
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	sealed, err := attest(d, files, in.Signer, in.Public)
	if err != nil {
		return nil, err
	}
	files = append(files, File{attestationName, sealed})
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	return d, pack(w, files)
}

// marshal writes JSON that is safe to print.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", " ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return show.CleanJSON(nil, b.Bytes()), nil
}

// prove adds what the tree has of each record to the document, and gives the files. Records that are newer than the
// checkpoint have no proof yet, and are counted.
func prove(d *Document, in *Input) ([]File, error) {
	head, signed := in.Prover.Checkpoint()
	sum := sha256.Sum256(signed)
	d.Log.Checkpoint = hex.EncodeToString(sum[:])
	files := []File{{"checkpoint", signed}}
	for i := range d.Records {
		r := &d.Records[i]
		if r.Position > uint64(head.Tree.N) {
			continue
		}
		leaf, hashes, err := in.Prover.Prove(r.Position)
		if err != nil {
			return nil, fmt.Errorf("prove that record %d is in the log: %w", r.Position, err)
		}
		hash := tlog.RecordHash(leaf)
		r.Leaf = hex.EncodeToString(hash[:])
		d.Log.Proven++
		files = append(files, File{fmt.Sprintf("proofs/%d.tlog-proof", r.Position), proof.Format(proof.Proof{Index: int64(r.Position) - 1, Hashes: hashes, Checkpoint: signed})})
		if in.Leaves {
			files = append(files, File{fmt.Sprintf("proofs/%d.leaf", r.Position), bytes.Clone(leaf)})
		}
	}
	return files, nil
}

// inside gives files names in a folder of the bundle that say where they come from and cannot lead out of it.
func inside(folder string, files []File) []File {
	var out []File
	for i, f := range files {
		name := strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-' {
				return r
			}
			return '_'
		}, path.Base(strings.ReplaceAll(f.Name, `\`, "/")))
		if len(name) > 100 {
			name = name[len(name)-100:] // its end says what it is
		}
		out = append(out, File{fmt.Sprintf("%s/%02d-%s", folder, i+1, name), f.Data})
	}
	return out
}

func pack(w io.Writer, files []File) error {
	z := zip.NewWriter(w)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.Name, Method: zip.Deflate, Modified: zipTime}
		if strings.HasPrefix(f.Name, "proofs/") { // thousands of small files of hashes and sealed bytes
			h.Method = zip.Store
		}
		h.SetMode(0o644)
		out, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := out.Write(f.Data); err != nil {
			return err
		}
	}
	return z.Close()
}
