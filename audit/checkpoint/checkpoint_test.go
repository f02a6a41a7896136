package checkpoint

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const origin = "gate.example/log"

// keypair makes a key with its signer and verifier.
func keypair(t *testing.T, name string) (private, public string, s note.Signer, v note.Verifier) {
	t.Helper()
	private, public, err := GenerateKey(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err1 := note.NewSigner(private)
	v, err2 := note.NewVerifier(public)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return private, public, s, v
}

func head(n int64) tlog.Tree {
	if n == 0 {
		return tlog.Tree{Hash: empty}
	}
	return tlog.Tree{N: n, Hash: tlog.RecordHash([]byte{byte(n)})}
}

func TestFormatAndParse(t *testing.T) {
	for name, c := range map[string]Checkpoint{
		"plain":      {Origin: origin, Tree: head(7)},
		"empty_tree": {Origin: origin, Tree: head(0)},
		"extensions": {Origin: origin, Tree: head(1 << 40), Extensions: []string{"one", "zwei ü"}},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := Format(c)
			if err != nil {
				t.Fatal(err)
			}
			back, err := Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c, back); d != "" {
				t.Error(d)
			}
		})
	}
}

// The example of the specification (c2sp.org/tlog-checkpoint v1.0.0).
func TestParseSpecification(t *testing.T) {
	const text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
	c, err := Parse(text)
	if err != nil || c.Origin != "example.com/behind-the-sofa" || c.Tree.N != 20852163 || c.Tree.Hash.String() != "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=" {
		t.Fatalf("%+v, %v", c, err)
	}
	if back, err := Format(c); back != text || err != nil {
		t.Errorf("wrote %q, %v", back, err)
	}
}

func TestFormatRefuses(t *testing.T) {
	for name, c := range map[string]Checkpoint{
		"no_origin":            {Tree: head(1)},
		"origin_forges_lines":  {Origin: origin + "\n9\n" + head(9).Hash.String(), Tree: head(1)},
		"negative_size":        {Origin: origin, Tree: tlog.Tree{N: -1}},
		"empty_tree_with_root": {Origin: origin, Tree: tlog.Tree{Hash: head(1).Hash}},
		"empty_extension":      {Origin: origin, Tree: head(1), Extensions: []string{""}},
		"extension_of_lines":   {Origin: origin, Tree: head(1), Extensions: []string{"a\nb"}},
		"control_characters":   {Origin: origin, Tree: head(1), Extensions: []string{"\x1b[2J"}},
		"not_utf8":             {Origin: origin, Tree: head(1), Extensions: []string{"\xff"}},
	} {
		t.Run(name, func(t *testing.T) {
			if text, err := Format(c); err == nil {
				t.Errorf("wrote %q", text)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	root := head(7).Hash.String()
	for name, text := range map[string]string{
		"nothing":            "",
		"no_root":            origin + "\n7\n",
		"no_newline":         origin + "\n7\n" + root,
		"empty_line":         origin + "\n7\n" + root + "\n\n",
		"leading_zero":       origin + "\n07\n" + root + "\n",
		"plus":               origin + "\n+7\n" + root + "\n",
		"negative":           origin + "\n-7\n" + root + "\n",
		"too_large":          origin + "\n9223372036854775808\n" + root + "\n",
		"short_root":         origin + "\n7\nAAAA\n",
		"loose_base64":       origin + "\n7\n" + root[:len(root)-2] + "z=\n",
		"carriage_return":    origin + "\r\n7\r\n" + root + "\r\n",
		"empty_origin":       "\n7\n" + root + "\n",
		"empty_tree_not_so":  origin + "\n0\n" + root + "\n",
		"control_characters": origin + "\n7\n" + root + "\nx\x00\n",
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := Parse(text); err == nil {
				t.Errorf("read %+v", c)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	_, _, s, v := keypair(t, origin)
	_, _, _, stranger := keypair(t, origin)
	_, _, w, wv := keypair(t, "witness.example")
	want := Checkpoint{Origin: origin, Tree: head(7), Extensions: []string{"ext"}}
	msg, err := Sign(want, s, w)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("signed", func(t *testing.T) {
		got, n, err := Open(msg, origin, v)
		if err != nil || len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 1 {
			t.Fatalf("%+v, %v", n, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
	other, err := Sign(Checkpoint{Origin: "other.example/log", Tree: head(7)}, s)
	if err != nil {
		t.Fatal(err)
	}
	alone, err := Sign(want, w)
	if err != nil {
		t.Fatal(err)
	}
	mine, err := Sign(want, s)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := Sign(Checkpoint{Origin: origin, Tree: head(8)}, w)
	if err != nil {
		t.Fatal(err)
	}
	mixed := append(mine, elsewhere[strings.Index(string(elsewhere), "\n\n")+2:]...)
	edit := func(old, new string) []byte {
		if !strings.Contains(string(msg), old) {
			t.Fatalf("no %q in the checkpoint", old)
		}
		return []byte(strings.Replace(string(msg), old, new, 1))
	}
	for name, c := range map[string]struct {
		msg []byte
		v   []note.Verifier
	}{
		"unknown_key":         {msg, []note.Verifier{stranger}},
		"no_verifiers":        {msg, nil},
		"wrong_origin":        {other, []note.Verifier{v}},
		"only_a_witness":      {alone, []note.Verifier{v}},
		"smaller_size":        {edit("\n7\n", "\n6\n"), []note.Verifier{v}},
		"other_root":          {edit(want.Tree.Hash.String(), head(8).Hash.String()), []note.Verifier{v}},
		"edited_extension":    {edit("\next\n", "\nexe\n"), []note.Verifier{v}},
		"extension_added":     {edit("\next\n", "\next\nmore\n"), []note.Verifier{v}},
		"extension_taken_out": {edit("\next\n", "\n"), []note.Verifier{v}},
		"cut_off":             {msg[:len(msg)-4], []note.Verifier{v}},
		"one_of_two_is_bad":   {mixed, []note.Verifier{v, wv}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, _, err := Open(c.msg, origin, c.v...); err == nil {
				t.Errorf("opened %+v", got)
			}
		})
	}
}

func TestSignNeedsAKey(t *testing.T) {
	if msg, err := Sign(Checkpoint{Origin: origin, Tree: head(1)}); err == nil {
		t.Errorf("signed %q", msg)
	}
}

func TestSignerElsewhere(t *testing.T) {
	private, public, _, v := keypair(t, origin)
	_, key, err := Private(private)
	if err != nil {
		t.Fatal(err)
	}
	c := Checkpoint{Origin: origin, Tree: head(7)}
	t.Run("its_signature_verifies", func(t *testing.T) {
		s, err := NewSigner(public, func(msg []byte) ([]byte, error) { return ed25519.Sign(key, msg), nil })
		if err != nil {
			t.Fatal(err)
		}
		msg, err := Sign(c, s)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := Open(msg, origin, v); err != nil {
			t.Error(err)
		}
	})
	t.Run("wrong_key_shows_when_it_signs", func(t *testing.T) {
		_, wrong, _ := ed25519.GenerateKey(nil)
		s, err := NewSigner(public, func(msg []byte) ([]byte, error) { return ed25519.Sign(wrong, msg), nil })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Sign(c, s); err == nil {
			t.Error("signed with another key")
		}
	})
	t.Run("failure_is_passed_on", func(t *testing.T) {
		down := errors.New("module is locked")
		s, err := NewSigner(public, func([]byte) ([]byte, error) { return nil, down })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Sign(c, s); !errors.Is(err, down) {
			t.Errorf("error: %v", err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(origin + "\n7\n" + head(7).Hash.String() + "\nx\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text)
		if err != nil {
			return
		}
		if back, err := Format(c); err != nil || back != text {
			t.Errorf("%q became %q, %v", text, back, err)
		}
	})
}
