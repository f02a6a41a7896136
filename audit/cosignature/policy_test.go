package cosignature

import (
	"strings"
	"testing"

	"filippo.io/torchwood"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"

	"sallyport/audit/checkpoint"
)

// A policy that we write asks of torchwood's verifier what it asks of ours: two of three witnesses.
func TestPolicyIsReadByTorchwood(t *testing.T) {
	private, public, err := checkpoint.GenerateKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	log, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	var p Policy
	var signers []note.Signer
	for _, name := range []string{"w1", "w2", "w3"} {
		w, _, secret := witness(t, name+".example", at(noon))
		key, err := PublicKey(secret)
		if err != nil {
			t.Fatal(err)
		}
		p.Witnesses = append(p.Witnesses, PolicyWitness{name, key, "https://" + name + ".example"})
		signers = append(signers, w)
	}
	p.Quorum = 2
	text := p.Format(public)
	back, err := ParsePolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, back); diff != "" {
		t.Error(diff)
	}
	theirs, err := torchwood.ParsePolicy(text)
	if err != nil {
		t.Fatalf("it does not read\n%s: %v", text, err)
	}
	if _, _, err := torchwood.VerifyCheckpoint(signed(t, 7, log, signers[0], signers[2]), theirs); err != nil {
		t.Errorf("two of three: %v", err)
	}
	if _, _, err := torchwood.VerifyCheckpoint(signed(t, 7, log, signers[0]), theirs); err == nil {
		t.Error("it takes one of three for two")
	}
	p.Quorum = 0
	if back, err := ParsePolicy(p.Format()); err != nil || back.Quorum != 0 || len(back.Witnesses) != 3 {
		t.Errorf("%+v, %v", back, err)
	}
}

func TestPolicyProblems(t *testing.T) {
	_, _, secret := witness(t, "w1.example", at(noon))
	key, err := PublicKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	w := "witness a " + key + "\n"
	for name, tc := range map[string]struct{ text, want string }{
		"no_quorum":       {w, "no quorum"},
		"unknown_quorum":  {w + "quorum b\n", "no quorum"},
		"too_many":        {w + "group g 2 a\nquorum g\n", "cannot be reached"},
		"none_needed":     {w + "group g 0 a\nquorum g\n", "asks for"},
		"one_key_twice":   {w + "witness b " + key + "\ngroup g all a b\nquorum g\n", "counts once"},
		"same_name":       {w + w + "quorum none\n", "counts once|called"},
		"key_of_a_log":    {"witness a gate.example/log+1a2b3c4d+AaBb\nquorum a\n", "public key"},
		"groups_of_group": {w + "group g 1 a\ngroup h 1 g\nquorum h\n", "line 3"},
		"stranger":        {w + "group g 1 b\nquorum g\n", "no witness before it"},
		"other_words":     {"trust a\n", "line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParsePolicy([]byte(tc.text))
			if err == nil {
				t.Fatal("taken")
			}
			for _, want := range strings.Split(tc.want, "|") {
				if strings.Contains(err.Error(), want) {
					return
				}
			}
			t.Error(err)
		})
	}
	for name, tc := range map[string]struct {
		text string
		n, q int
	}{
		"one_witness": {w + "quorum a\n", 1, 1},
		"any":         {"# ours\nlog x\n" + w + "group g any a\nquorum g # it\n", 1, 1},
	} {
		if p, err := ParsePolicy([]byte(tc.text)); err != nil || len(p.Witnesses) != tc.n || p.Quorum != tc.q {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}
