package verify

import (
	"archive/zip"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit/checkpoint"
	"sallyport/audit/proof"
)

const (
	attestationName = "attestation.dsse.json"
	most            = 1 << 30 // bytes that a file of a bundle may have
)

// Bundle is Trust.Bundle for whoever has a public key alone, or nothing ("").
func Bundle(r io.ReaderAt, size int64, trusted string) (*Report, error) {
	return Trust{Key: trusted}.Bundle(r, size)
}

// Bundle verifies a zip that `sallyport evidence` has made. The key is the one that it must be signed with, or the log's
// first one, which has introduced that. The error is for what is no bundle at all.
func (t Trust) Bundle(r io.ReaderAt, size int64) (*Report, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("it is no zip file, or was cut short: %w", err)
	}
	files := map[string][]byte{}
	rep := new(Report)
	for _, f := range z.File {
		if f.Name != path.Clean(f.Name) || strings.HasPrefix(f.Name, "/") || strings.HasPrefix(f.Name, "..") {
			rep.problem("a file is named %q", f.Name)
			continue
		}
		if _, twice := files[f.Name]; twice {
			rep.problem("%q is there twice", f.Name)
		}
		if files[f.Name], err = read(f); err != nil {
			rep.problem("%q cannot be read: %v", f.Name, err)
		}
	}
	if files[attestationName] == nil {
		return nil, errors.New("it has no " + attestationName + ", so it is no bundle of evidence")
	}
	public := strings.TrimSuffix(string(files["key.pub"]), "\n")
	keys, err := logKeys(files, public)
	if err != nil {
		rep.problem("%v", err)
	}
	if first := keys.List(); len(first) > 1 && t.Key == first[0].Public && keys.Current().Public == public {
		rep.proven("the key is one that the key that is trusted has introduced, over %d replacements", len(first)-1)
	} else {
		rep.whose(public, t.Key)
	}
	if err := attested(files, public); err != nil {
		rep.problem("%v", err)
	} else {
		rep.proven("the %d files are those that were signed with the key, and no others are there", len(files)-1)
	}
	rep.proofs(files, keys, t)
	rep.unproven("that trace.json and trace.html say what the records say: whoever has the key states it")
	rep.unproven("that the reasons are true: they were claimed by whoever asked")
	return rep, nil
}

func read(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && len(data) > most {
		err = fmt.Errorf("it is larger than %d bytes", most)
	}
	return data, err
}

// attested checks the DSSE v1 envelope over an in-toto Statement v1 with the digests of all other files.
func attested(files map[string][]byte, public string) error {
	var env struct {
		PayloadType string
		Payload     []byte
		Signatures  []struct{ Sig []byte }
	}
	if err := json.Unmarshal(files[attestationName], &env); err != nil {
		return fmt.Errorf("%s is no DSSE envelope: %w", attestationName, err)
	}
	key, err := ed25519Of(public)
	if err != nil {
		return err
	}
	msg := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(env.PayloadType), env.PayloadType, len(env.Payload), env.Payload)
	if env.PayloadType != "application/vnd.in-toto+json" || len(env.Signatures) != 1 || !ed25519.Verify(key, msg, env.Signatures[0].Sig) {
		return errors.New("the list of files is not signed with the key")
	}
	var st struct {
		Type    string `json:"_type"`
		Subject []struct {
			Name   string
			Digest struct{ SHA256 string }
		}
	}
	if err := json.Unmarshal(env.Payload, &st); err != nil || st.Type != "https://in-toto.io/Statement/v1" {
		return errors.New("what is signed is no in-toto Statement v1")
	}
	listed := map[string]bool{attestationName: true}
	for _, s := range st.Subject {
		data, there := files[s.Name]
		sum := sha256.Sum256(data)
		switch {
		case !there:
			return fmt.Errorf("%q is missing", s.Name)
		case hex.EncodeToString(sum[:]) != s.Digest.SHA256:
			return fmt.Errorf("%q was changed since it was signed", s.Name)
		}
		listed[s.Name] = true
	}
	for name := range files {
		if !listed[name] {
			return fmt.Errorf("%q was added after the signature", name)
		}
	}
	return nil
}

func ed25519Of(public string) (ed25519.PublicKey, error) {
	part := strings.SplitN(public, "+", 3)
	if _, err := note.NewVerifier(public); err != nil || len(part) != 3 {
		return nil, errors.New("key.pub is not a public key in the form of C2SP signed-note")
	}
	key, err := base64.StdEncoding.DecodeString(part[2])
	if err != nil || len(key) != 1+ed25519.PublicKeySize {
		return nil, errors.New("key.pub is not an Ed25519 key")
	}
	return ed25519.PublicKey(key[1:]), nil
}

// proofs checks that the records that trace.json lists are in the log that the checkpoint signs.
func (r *Report) proofs(files map[string][]byte, keys checkpoint.Keys, t Trust) {
	var doc struct {
		Records []struct {
			Position uint64 `json:"position"`
			Leaf     string `json:"leaf_sha256"`
		} `json:"records"`
	}
	if err := json.Unmarshal(files["trace.json"], &doc); err != nil {
		r.problem("trace.json cannot be read: %v", err)
		return
	}
	proofs := proof.Verifier{Keys: keys}
	shown := 0
	head, err := keys.Open(files["checkpoint"])
	if files["checkpoint"] != nil && err != nil {
		r.problem("%v", err)
	}
	for _, rec := range doc.Records {
		if rec.Leaf == "" {
			continue
		}
		leaf, err := hex.DecodeString(rec.Leaf)
		if err != nil || len(leaf) != tlog.HashSize {
			r.problem("the leaf of record %d is no hash", rec.Position)
			continue
		}
		v, err := proofs.Verify(files[fmt.Sprintf("proofs/%d.tlog-proof", rec.Position)], tlog.Hash(leaf))
		switch {
		case err != nil:
			r.problem("record %d is not proven to be in the log: %v", rec.Position, err)
			continue
		case v.Index != int64(rec.Position)-1:
			r.problem("the proof of record %d is of record %d", rec.Position, v.Index+1)
			continue
		case v.Checkpoint.Tree != head.Tree:
			r.problem("the proof of record %d is not against the checkpoint of the bundle", rec.Position)
			continue
		}
		if raw, ok := files[fmt.Sprintf("proofs/%d.leaf", rec.Position)]; ok && tlog.RecordHash(raw) != tlog.Hash(leaf) {
			r.problem("the leaf of record %d does not have its hash", rec.Position)
		}
		shown++
	}
	if shown > 0 {
		r.proven("%d records are in the log %s, which had %d when it was signed", shown, head.Origin, head.Tree.N)
	}
	if t.Kept != nil {
		r.keptOf(t.Kept, keys, head)
	}
	if left := len(doc.Records) - shown; left > 0 {
		r.unproven("that %d of the %d records are in the log", left, len(doc.Records))
	}
	if files["checkpoint"] != nil {
		r.vouchedBundle(files, keys, t)
	}
}

// logKeys are the keys of the log that a bundle is from: where they are not the one that has signed the bundle, log.pub is the
// first of them and log.keys the notes about those after it.
func logKeys(files map[string][]byte, public string) (checkpoint.Keys, error) {
	first := files["log.pub"]
	if first == nil {
		return checkpoint.First(public)
	}
	keys, err := checkpoint.First(strings.TrimSuffix(string(first), "\n"))
	if err == nil {
		keys, err = keys.Follow(files["log.keys"])
	}
	if err != nil {
		return checkpoint.Keys{}, fmt.Errorf("the keys of the log: %w", err)
	}
	return keys, nil
}

// vouchedBundle reads what others have said of the checkpoint that a bundle's proofs are against, and of one before it.
func (r *Report) vouchedBundle(files map[string][]byte, keys checkpoint.Keys, t Trust) {
	policy := r.witnesses(files["witnesses.policy"], t)
	var all []*vouched
	head := r.cosigned("the checkpoint", files["checkpoint"], keys, policy)
	if head == nil {
		return
	}
	head.good = true
	all = append(all, head)
	unread := 0
	if token := files["timestamp.tsr"]; token != nil && t.Stamp == nil {
		unread = 1
	} else if token != nil {
		if s := r.stamped("the timestamp", files["timestamp.checkpoint"], token, keys, t); s != nil {
			s.good = grown(s.tree, head.tree, files["timestamp.consistency"])
			all = append(all, s)
		}
	}
	r.told(policy, all, unread)
}

// grown is whether a proof of consistency (RFC 6962, 2.1.2; a hash a line, in base64) shows that a tree continues another.
func grown(from, to tlog.Tree, text []byte) bool {
	var p tlog.TreeProof
	for line := range strings.Lines(string(text)) {
		h, err := tlog.ParseHash(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return false
		}
		p = append(p, h)
	}
	if from.N == to.N {
		return from == to
	}
	return from.N > 0 && tlog.CheckTree(p, to.N, to.Hash, from.N, from.Hash) == nil
}

// keptOf compares the checkpoint of a bundle's proofs with one that was kept elsewhere.
func (r *Report) keptOf(kept []byte, keys checkpoint.Keys, head checkpoint.Checkpoint) {
	c, err := keys.Open(kept)
	switch {
	case err != nil:
		r.problem("the checkpoint that was kept elsewhere: %v", err)
	case c.Tree == head.Tree:
		r.proven("the proofs lead to the checkpoint that was kept elsewhere")
	case c.Tree.N == head.Tree.N:
		r.problem("the proofs lead to another log of %d records than the checkpoint that was kept elsewhere", head.Tree.N)
	default:
		r.unproven("that the log with %d records, of which the proofs speak, goes with the checkpoint of %d that was kept elsewhere: verify the whole log for that", head.Tree.N, c.Tree.N)
	}
}
