package cosignature

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit/checkpoint"
)

const origin = "gate.example/log"

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func at(t time.Time) func() time.Time { return func() time.Time { return t } }

// witness makes a key and gives the signer at a time and the verifier.
func witness(t *testing.T, name string, now func() time.Time) (note.Signer, note.Verifier, string) {
	t.Helper()
	private, _, err := checkpoint.GenerateKey(name)
	if err != nil {
		t.Fatal(err)
	}
	public, err := PublicKey(private)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSigner(private, now)
	if err != nil {
		t.Fatal(err)
	}
	v, err := NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	return s, v, private
}

func signed(t *testing.T, n int64, signers ...note.Signer) []byte {
	t.Helper()
	c := checkpoint.Checkpoint{Origin: origin, Tree: tlog.Tree{N: n, Hash: tlog.RecordHash([]byte{byte(n)})}, Extensions: []string{"ext"}}
	msg, err := checkpoint.Sign(c, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func TestVerify(t *testing.T) {
	w1, v1, _ := witness(t, "w1.example", at(noon))
	w2, v2, _ := witness(t, "w2.example", at(noon.Add(time.Minute)))
	_, v3, _ := witness(t, "w3.example", at(noon))
	msg := signed(t, 7, w1, w2)
	all, err := Verify(msg, v1, v2, v3)
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	if all[0].Witness != "w1.example" || !all[0].Time.Equal(noon) || !all[1].Time.Equal(noon.Add(time.Minute)) {
		t.Errorf("%+v", all)
	}
	if none, err := Verify(msg, v3); len(none) != 0 || err != nil {
		t.Errorf("a stranger's: %+v, %v", none, err)
	}
	for name, bad := range map[string][]byte{
		"edited_size":      bytes.Replace(msg, []byte("\n7\n"), []byte("\n8\n"), 1),
		"edited_extension": bytes.Replace(msg, []byte("\next\n"), []byte("\nexe\n"), 1),
		"other_origin":     bytes.Replace(msg, []byte("gate."), []byte("late."), 1),
		"moved_to_another": append(signed(t, 8, w2), msg[bytes.Index(msg, []byte("— w1")):]...),
	} {
		t.Run(name, func(t *testing.T) {
			if all, err := Verify(bad, v1, v2); err == nil {
				t.Errorf("verified %+v", all)
			}
		})
	}
}

func TestVerifierRejects(t *testing.T) {
	w, v, private := witness(t, "w1.example", at(noon))
	text, _, _ := strings.Cut(string(signed(t, 7, w)), "\n\n")
	text += "\n"
	sig, err := w.Sign([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if !v.Verify([]byte(text), sig) {
		t.Fatal("does not verify")
	}
	plain, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	ordinary, err := plain.Sign([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	later := bytes.Clone(sig)
	later[7]++
	huge := bytes.Clone(sig)
	huge[0] = 0x80
	for name, s := range map[string][]byte{
		"time_changed": later, "time_out_of_range": huge, "cut_off": sig[:71], "longer": append(bytes.Clone(sig), 0), "without_time": sig[8:], "empty": nil,
		"signature_as_a_log": append(bytes.Clone(sig[:8]), ordinary...),
	} {
		t.Run(name, func(t *testing.T) {
			if v.Verify([]byte(text), s) {
				t.Error("verified")
			}
		})
	}
}

func TestSignerRefuses(t *testing.T) {
	w, _, private := witness(t, "w1.example", at(noon))
	if _, err := w.Sign([]byte("sallyport/keys/v1\nlog x\n")); err == nil {
		t.Error("cosigned what is no checkpoint")
	}
	early, err := NewSigner(private, at(time.Unix(-1, 0)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Sign(&note.Note{Text: "a\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"}, early); err == nil {
		t.Error("cosigned with a time before 1970")
	}
	if _, err := NewSigner("PRIVATE+KEY+x+00000000+AAAA", at(noon)); err == nil {
		t.Error("took a bad key")
	}
}

func TestNewVerifierRefuses(t *testing.T) {
	_, _, private := witness(t, "w1.example", at(noon))
	public, err := PublicKey(private)
	if err != nil {
		t.Fatal(err)
	}
	_, logKey, err := checkpoint.GenerateKey("w1.example")
	if err != nil {
		t.Fatal(err)
	}
	part := strings.SplitN(public, "+", 3)
	for name, key := range map[string]string{
		"empty": "", "name_only": part[0], "of_a_log": logKey, "other_name": "w2.example+" + part[1] + "+" + part[2],
		"other_hash": part[0] + "+00000000+" + part[2], "cut_off": public[:len(public)-4], "spaces": " " + public,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewVerifier(key); err == nil {
				t.Error("taken")
			}
		})
	}
}

func TestAttach(t *testing.T) {
	private, _, err := checkpoint.GenerateKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	log, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	now := noon
	w1, v1, _ := witness(t, "w1.example", func() time.Time { return now })
	w2, v2, _ := witness(t, "w2.example", func() time.Time { return now })
	lines := func(n int64, s ...note.Signer) []byte {
		msg := signed(t, n, s...)
		return msg[bytes.LastIndex(msg, []byte("\n\n"))+2:]
	}
	msg := signed(t, 7, log)
	one, added, err := Attach(msg, lines(7, w1), v1, v2)
	if err != nil || len(added) != 1 || !bytes.HasPrefix(one, msg) {
		t.Fatalf("%s\n%+v, %v", one, added, err)
	}
	t.Run("good_ones_among_bad", func(t *testing.T) {
		answer := append([]byte("garbage\n— w1.example AAAA\n"), lines(8, w1)...)
		answer = append(append(answer, lines(7, log)...), lines(7, w2)...)
		two, added, err := Attach(one, answer, v1, v2)
		if err != nil || len(added) != 1 || added[0].Witness != "w2.example" {
			t.Fatalf("%+v, %v", added, err)
		}
		if all, err := Verify(two, v1, v2); err != nil || len(all) != 2 {
			t.Errorf("%+v, %v", all, err)
		}
	})
	t.Run("newer_replaces_older", func(t *testing.T) {
		old := lines(7, w1)
		now = noon.Add(time.Hour)
		defer func() { now = noon }()
		next, added, err := Attach(one, append(old, lines(7, w1)...), v1)
		if err != nil || len(added) != 1 {
			t.Fatalf("%+v, %v", added, err)
		}
		if all, err := Verify(next, v1); err != nil || len(all) != 1 || !all[0].Time.Equal(now) || len(strings.Split(string(next), "\n")) != len(strings.Split(string(one), "\n")) {
			t.Errorf("%s\n%+v, %v", next, all, err)
		}
		if back, added, err := Attach(next, old, v1); err != nil || len(added) != 0 || !bytes.Equal(back, next) {
			t.Errorf("an old one came back: %+v, %v", added, err)
		}
	})
	t.Run("not_a_note", func(t *testing.T) {
		if _, _, err := Attach([]byte("x"), nil, v1); err == nil {
			t.Error("attached")
		}
	})
}
