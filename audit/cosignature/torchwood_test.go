package cosignature

import (
	"bytes"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"

	"sallyport/audit/checkpoint"
)

// filippo.io/torchwood is an independent implementation of tlog-checkpoint and tlog-cosignature: it verifies what
// we sign, and we verify what it signs.
func TestTorchwood(t *testing.T) {
	private, public, err := checkpoint.GenerateKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	log, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	logV, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	w, v, secret := witness(t, "w1.example", at(noon))
	msg := signed(t, 7, log, w)

	witnessKey, err := PublicKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	theirV, err := torchwood.NewCosignatureVerifier(witnessKey)
	if err != nil {
		t.Fatalf("it does not read our witness's key: %v", err)
	}
	if theirV.String() != witnessKey || theirV.KeyHash() != v.KeyHash() {
		t.Errorf("it writes the key %s, we write %s", theirV, witnessKey)
	}
	policy := torchwood.ThresholdPolicy(3, torchwood.OriginPolicy(origin), torchwood.SingleVerifierPolicy(logV), torchwood.SingleVerifierPolicy(theirV))

	t.Run("it_verifies_ours", func(t *testing.T) {
		c, n, err := torchwood.VerifyCheckpoint(msg, policy)
		if err != nil {
			t.Fatal(err)
		}
		ours, _, err := checkpoint.Open(msg, origin, logV)
		if err != nil || c.Tree != ours.Tree || c.Origin != ours.Origin || c.Extension != "ext\n" {
			t.Errorf("it reads %+v, we read %+v, %v", c, ours, err)
		}
		for _, s := range n.Sigs {
			if s.Name != "w1.example" {
				continue
			}
			if at, err := torchwood.CosignatureTimestamp(s); at != noon.Unix() || err != nil {
				t.Errorf("it reads the time %d, %v", at, err)
			}
		}
	})
	t.Run("it_refuses_ours_edited", func(t *testing.T) {
		if _, _, err := torchwood.VerifyCheckpoint(bytes.Replace(msg, []byte("\next\n"), []byte("\nexe\n"), 1), policy); err == nil {
			t.Error("verified")
		}
	})
	t.Run("we_verify_its", func(t *testing.T) {
		_, key, err := checkpoint.Private(secret)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := torchwood.NewCosignatureSigner("w1.example", key)
		if err != nil {
			t.Fatal(err)
		}
		all, err := Verify(signed(t, 7, log, theirs), v)
		if err != nil || len(all) != 1 || all[0].Witness != "w1.example" {
			t.Errorf("%+v, %v", all, err)
		}
	})
}
