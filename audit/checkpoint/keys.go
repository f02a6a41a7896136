package checkpoint

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

// Key is a public key of a log.
type Key struct {
	// From is the size of the tree from which on the key signs.
	From int64
	// Public is the key in the text form of C2SP signed-note.
	Public string
}

// Keys are all keys that a log has had, the one that signs now at the end. A key is good for trees from its
// own size up to the size of the next key, which both may have signed.
type Keys struct {
	Origin string
	list   []Key
	verify []note.Verifier
}

// First are the keys of a log whose key was never replaced. The log is named after it.
func First(public string) (Keys, error) {
	v, err := verifier(public)
	if err != nil {
		return Keys{}, err
	}
	return Keys{Origin: v.Name(), list: []Key{{0, public}}, verify: []note.Verifier{v}}, nil
}

// List gives the keys from the first to the current one.
func (k Keys) List() []Key { return slices.Clone(k.list) }

// Current is the key that signs now.
func (k Keys) Current() Key {
	if len(k.list) == 0 {
		return Key{}
	}
	return k.list[len(k.list)-1]
}

// Open reads a signed checkpoint of the log, which a key must have signed that was good for its size.
func (k Keys) Open(msg []byte) (Checkpoint, error) {
	c, n, err := Open(msg, k.Origin, k.verify...)
	if err != nil {
		return Checkpoint{}, err
	}
	for i, v := range k.verify {
		signed := slices.ContainsFunc(n.Sigs, func(s note.Signature) bool { return s.Hash == v.KeyHash() })
		if signed && c.Tree.N >= k.list[i].From && (i == len(k.list)-1 || c.Tree.N <= k.list[i+1].From) {
			return c, nil
		}
	}
	return Checkpoint{}, fmt.Errorf("open the checkpoint of %s: the key that signed it was not in use at size %d", k.Origin, c.Tree.N)
}

// A note about keys cannot be taken for a checkpoint, or one for the other: the second line of a
// checkpoint is a number.
//
//	sallyport/keys/v1
//	log gate.example/log
//	key 0 gate.example/log+1a2b3c4d+AaBb...
//	key 20852163 gate.example/log+5e6f7a8b+AcCd...
const keysHeader = "sallyport/keys/v1\n"

// Introduce writes the note in which the current key says that next signs from the size from on. next signs
// it too, which shows that somebody has that key.
func (k Keys) Introduce(from int64, public string, current, next note.Signer) ([]byte, Keys, error) {
	grown, err := k.with(Key{from, public})
	if err != nil {
		return nil, Keys{}, err
	}
	msg, err := note.Sign(&note.Note{Text: grown.text()}, current, next)
	if err != nil {
		return nil, Keys{}, fmt.Errorf("sign the note about keys: %w", err)
	}
	if grown, err = k.follow(msg); err != nil { // a signer with another key than it should have
		return nil, Keys{}, err
	}
	return msg, grown, nil
}

// Follow adds what notes (all of them one after the other, as in checkpoint.keys) say, if each is signed by
// the key until then.
func (k Keys) Follow(notes []byte) (Keys, error) {
	for i, rest := 1, string(notes); rest != ""; i++ {
		one := rest
		if end := strings.Index(rest, "\n"+keysHeader); end >= 0 {
			one = rest[:end+1]
		}
		rest = rest[len(one):]
		var err error
		if k, err = k.follow([]byte(one)); err != nil {
			return Keys{}, fmt.Errorf("note %d about keys: %w", i, err)
		}
	}
	return k, nil
}

// follow adds what one note says.
func (k Keys) follow(msg []byte) (Keys, error) {
	// What the note says is needed to know who must have signed it, so it is read before it is believed.
	text, _, _ := strings.Cut(string(msg), "\n\n")
	grown, err := k.listed(text + "\n")
	if err != nil {
		return Keys{}, err
	}
	current, next := k.verify[len(k.verify)-1], grown.verify[len(grown.verify)-1]
	n, err := note.Open(msg, note.VerifierList(current, next))
	if unsigned := (*note.UnverifiedNoteError)(nil); err != nil && !errors.As(err, &unsigned) {
		return Keys{}, err
	}
	if err != nil || n.Text != grown.text() || len(n.Sigs) != 2 {
		return Keys{}, fmt.Errorf("the keys %08x, which it replaces, and %08x must both have signed it", current.KeyHash(), next.KeyHash())
	}
	return grown, nil
}

// listed reads the text of a note that must list the keys of k and one more.
func (k Keys) listed(text string) (Keys, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	field := strings.Split(lines[len(lines)-1], " ")
	if len(field) != 3 {
		return Keys{}, errKeys
	}
	from, err := strconv.ParseInt(field[1], 10, 64)
	if err != nil {
		return Keys{}, errKeys
	}
	grown, err := k.with(Key{from, field[2]})
	if err == nil && grown.text() != text {
		err = errKeys
	}
	return grown, err
}

var errKeys = errors.New("it does not list the known keys and one more")

// with is k and one key more.
func (k Keys) with(next Key) (Keys, error) {
	v, err := verifier(next.Public)
	if err != nil {
		return Keys{}, err
	}
	switch {
	case len(k.list) == 0:
		return Keys{}, errors.New("there is no first key")
	case v.Name() != k.Origin:
		return Keys{}, fmt.Errorf("the next key of %s must have its name, not %q", k.Origin, v.Name())
	case next.From < k.Current().From:
		return Keys{}, fmt.Errorf("the next key cannot sign from size %d: the current one signs from %d", next.From, k.Current().From)
	case slices.ContainsFunc(k.verify, func(old note.Verifier) bool { return old.KeyHash() == v.KeyHash() }):
		return Keys{}, fmt.Errorf("the key %08x was in use already", v.KeyHash())
	}
	return Keys{k.Origin, append(slices.Clone(k.list), next), append(slices.Clone(k.verify), v)}, nil
}

func (k Keys) text() string {
	var b strings.Builder
	b.WriteString(keysHeader + "log " + k.Origin + "\n")
	for _, key := range k.list {
		fmt.Fprintf(&b, "key %d %s\n", key.From, key.Public)
	}
	return b.String()
}

func verifier(public string) (note.Verifier, error) {
	v, err := note.NewVerifier(public)
	if err != nil || !ValidName(v.Name()) {
		return nil, errors.New("not a public key in the form of C2SP signed-note (name+hash+base64)")
	}
	return v, nil
}

// ValidName reports whether a key may have that name: C2SP signed-note wants no spaces and no plus signs in
// it, and a note cannot hold control characters.
func ValidName(name string) bool {
	return name != "" && utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r == '+'
	})
}
