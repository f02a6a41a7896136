package proof

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit/checkpoint"
	"sallyport/audit/cosignature"
)

const origin = "gate.example/log"

// testLog is a log of n records that a witness has cosigned.
type testLog struct {
	t           *testing.T
	hashes      []tlog.Hash
	keys        checkpoint.Keys
	signer, cos note.Signer
	verifier    note.Verifier
	witness     note.Verifier
}

func leaf(i int64) tlog.Hash { return tlog.RecordHash(fmt.Appendf(nil, "record %d", i)) }

func newLog(t *testing.T, n int64) *testLog {
	t.Helper()
	l := &testLog{t: t}
	private, public, err1 := checkpoint.GenerateKey(origin)
	wPrivate, _, err2 := checkpoint.GenerateKey("witness.example")
	wPublic, err3 := cosignature.PublicKey(wPrivate)
	var err4, err5, err6, err7, err8 error
	l.keys, err4 = checkpoint.First(public)
	l.signer, err5 = note.NewSigner(private)
	l.verifier, err6 = note.NewVerifier(public)
	l.cos, err7 = cosignature.NewSigner(wPrivate, time.Now)
	l.witness, err8 = cosignature.NewVerifier(wPublic)
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7, err8); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		h, err := tlog.StoredHashesForRecordHash(i, leaf(i), l.reader())
		if err != nil {
			t.Fatal(err)
		}
		l.hashes = append(l.hashes, h...)
	}
	return l
}

func (l *testLog) reader() tlog.HashReader {
	return tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(at))
		for i, x := range at {
			out[i] = l.hashes[x]
		}
		return out, nil
	})
}

func (l *testLog) prove(i, n int64) Proof {
	l.t.Helper()
	root, err1 := tlog.TreeHash(n, l.reader())
	hashes, err2 := tlog.ProveRecord(n, i, l.reader())
	msg, err3 := checkpoint.Sign(checkpoint.Checkpoint{Origin: origin, Tree: tlog.Tree{N: n, Hash: root}}, l.signer, l.cos)
	if err := errors.Join(err1, err2, err3); err != nil {
		l.t.Fatal(err)
	}
	return Proof{Index: i, Hashes: hashes, Checkpoint: msg}
}

func TestVerify(t *testing.T) {
	l := newLog(t, 70)
	for _, n := range []int64{1, 2, 3, 64, 70} {
		for i := range n {
			v, err := Verify(Format(l.prove(i, n)), leaf(i), l.keys, l.witness)
			if err != nil || v.Index != i || v.Checkpoint.Tree.N != n || len(v.Cosignature) != 1 {
				t.Fatalf("record %d of %d: %+v, %v", i, n, v, err)
			}
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	l, other := newLog(t, 70), newLog(t, 70)
	good := l.prove(5, 70)
	with := func(change func(*Proof)) []byte {
		p := good
		p.Hashes = append(tlog.RecordProof{}, good.Hashes...)
		change(&p)
		return Format(p)
	}
	for name, c := range map[string]struct {
		text []byte
		leaf tlog.Hash
	}{
		"another_record":        {Format(good), leaf(6)},
		"another_index":         {with(func(p *Proof) { p.Index = 4 }), leaf(5)},
		"index_beyond_the_tree": {with(func(p *Proof) { p.Index = 70 }), leaf(5)},
		"hash_exchanged":        {with(func(p *Proof) { p.Hashes[0] = leaf(9) }), leaf(5)},
		"hash_missing":          {with(func(p *Proof) { p.Hashes = p.Hashes[1:] }), leaf(5)},
		"hash_added":            {with(func(p *Proof) { p.Hashes = append(p.Hashes, leaf(9)) }), leaf(5)},
		"hashes_swapped":        {with(func(p *Proof) { p.Hashes[0], p.Hashes[1] = p.Hashes[1], p.Hashes[0] }), leaf(5)},
		"smaller_checkpoint":    {with(func(p *Proof) { p.Checkpoint = l.prove(5, 60).Checkpoint }), leaf(5)},
		"signed_by_another_key": {with(func(p *Proof) { p.Checkpoint = other.prove(5, 70).Checkpoint }), leaf(5)},
		"checkpoint_edited":     {bytes.Replace(Format(good), []byte("\n70\n"), []byte("\n71\n"), 1), leaf(5)},
		"cosignature_moved":     {with(func(p *Proof) { p.Checkpoint = moved(t, l.prove(5, 70).Checkpoint, l.prove(5, 60).Checkpoint) }), leaf(5)},
		"an_inner_node":         {Format(l.prove(0, 2)), l.hashes[2]},
		"empty":                 {nil, leaf(5)},
	} {
		t.Run(name, func(t *testing.T) {
			if v, err := Verify(c.text, c.leaf, l.keys, l.witness); err == nil {
				t.Errorf("verified %+v", v)
			}
		})
	}
	if _, err := Verify(Format(good), leaf(5), l.keys, l.witness); err != nil {
		t.Error(err)
	}
}

// moved is checkpoint a with the last signature, which is the witness's, of b.
func moved(t *testing.T, a, b []byte) []byte {
	mark := []byte("— witness.example")
	i, j := bytes.Index(a, mark), bytes.Index(b, mark)
	if i < 0 || j < 0 {
		t.Fatal("not cosigned")
	}
	return append(bytes.Clone(a[:i]), b[j:]...)
}

func TestParseRefuses(t *testing.T) {
	h := leaf(1).String()
	for name, text := range map[string]string{
		"other_version":      "c2sp.org/tlog-proof@v2\nindex 1\n\nx",
		"no_index":           header + "\n" + h + "\n\nx",
		"index_with_zero":    header + "\nindex 01\n\nx",
		"negative_index":     header + "\nindex -1\n\nx",
		"index_too_large":    header + "\nindex 9223372036854775808\n\nx",
		"extra_after_index":  header + "\nindex 1\nextra AAAA\n\nx",
		"extra_not_base64":   header + "\nextra !\nindex 1\n\nx",
		"extra_alone":        header + "\nextra AAAA\n\nx",
		"two_extras":         header + "\nextra AAAA\nextra AAAA\nindex 1\n\nx",
		"short_hash":         header + "\nindex 1\nAAAA\n\nx",
		"too_many_hashes":    header + "\nindex 1" + repeated("\n"+h, 64) + "\n\nx",
		"no_checkpoint":      header + "\nindex 1\n" + h + "\n",
		"carriage_returns":   header + "\r\nindex 1\r\n\r\nx",
		"only_header":        header,
		"header_and_nothing": header + "\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			if p, err := Parse([]byte(text)); err == nil {
				t.Errorf("read %+v", p)
			}
		})
	}
}

func repeated(s string, n int) (out string) {
	for range n {
		out += s
	}
	return out
}

// filippo.io/torchwood is an independent implementation: it verifies our proofs, and we read what it writes.
func TestTorchwood(t *testing.T) {
	l := newLog(t, 70)
	policy := torchwood.ThresholdPolicy(3, torchwood.OriginPolicy(origin), torchwood.SingleVerifierPolicy(l.verifier), torchwood.SingleVerifierPolicy(l.witness))
	for _, n := range []int64{1, 2, 64, 70} {
		for i := range n {
			p := l.prove(i, n)
			if i%2 == 1 {
				p.Extra = []byte("by hand")
			}
			text := Format(p)
			if err := torchwood.VerifyProof(policy, leaf(i), text); err != nil {
				t.Fatalf("record %d of %d: %v\n%s", i, n, err, text)
			}
			theirs := torchwood.FormatProof(i, p.Hashes, p.Checkpoint)
			if p.Extra != nil {
				theirs = torchwood.FormatProofWithExtraData(i, p.Extra, p.Hashes, p.Checkpoint)
			}
			if !bytes.Equal(text, theirs) {
				t.Fatalf("we write\n%s\nit writes\n%s", text, theirs)
			}
			if _, err := Verify(theirs, leaf(i), l.keys, l.witness); err != nil {
				t.Fatal(err)
			}
			if err := torchwood.VerifyProof(policy, leaf(i+1), text); err == nil {
				t.Fatalf("it verifies another record")
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(header + "\nextra AAAA\nindex 1\n" + leaf(1).String() + "\n\nx"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		if back := Format(p); !bytes.Equal(back, text) {
			t.Errorf("%q became %q", text, back)
		}
	})
}

// TestVerifierLooksAtEachCheckpoint: that one checkpoint was good says nothing of the next, or of another record.
func TestVerifierLooksAtEachCheckpoint(t *testing.T) {
	l, stranger := newLog(t, 70), newLog(t, 70)
	v := &Verifier{Keys: l.keys}
	for _, c := range []struct {
		name  string
		proof Proof
		leaf  tlog.Hash
		good  bool
	}{
		{"the first", l.prove(3, 70), leaf(3), true},
		{"another record under the same checkpoint", l.prove(4, 70), leaf(4), true},
		{"a record that is not that one", l.prove(5, 70), leaf(6), false},
		{"a checkpoint that the log has not signed", stranger.prove(3, 70), leaf(3), false},
		{"the same log, earlier", l.prove(3, 64), leaf(3), true},
		{"a checkpoint that the log has not signed, again", stranger.prove(3, 64), leaf(3), false},
	} {
		got, err := v.Verify(Format(c.proof), c.leaf)
		if (err == nil) != c.good || c.good && got.Index != c.proof.Index {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}
