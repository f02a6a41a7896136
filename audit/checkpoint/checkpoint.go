package checkpoint

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is the head of a log's tree.
type Checkpoint struct {
	// Origin names the log, by convention as an URL without scheme.
	Origin string
	// Tree is the number of leaves and the RFC 6962 root hash over them.
	Tree tlog.Tree
	// Extensions are lines, each not empty and without newline, that are signed too. Witnesses and log
	// monitors do not look at them.
	Extensions []string
}

// errMalformed does not quote what it found: it came from somebody else and may be anything.
var errMalformed = errors.New("not a checkpoint: malformed text")

// Format gives the text of a checkpoint, as it is signed. A checkpoint that cannot be told from another
// once it is text is an error.
func Format(c Checkpoint) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%d\n%s\n", c.Origin, c.Tree.N, base64.StdEncoding.EncodeToString(c.Tree.Hash[:]))
	for _, x := range c.Extensions {
		b.WriteString(x + "\n")
	}
	back, err := Parse(b.String())
	if err != nil || back.Origin != c.Origin || !slices.Equal(back.Extensions, c.Extensions) {
		return "", errors.New("cannot write the checkpoint: its size is negative, its root is not that of an empty tree, or its origin or an extension is empty or holds control characters")
	}
	return b.String(), nil
}

// Parse reads the text of a checkpoint, without signatures. There is one text for each checkpoint: other
// ways of writing the same numbers are refused.
func Parse(text string) (Checkpoint, error) {
	body, ended := strings.CutSuffix(text, "\n")
	lines := strings.Split(body, "\n")
	if !ended || len(lines) < 3 || !utf8.ValidString(text) ||
		slices.Contains(lines, "") || strings.ContainsFunc(body, func(r rune) bool { return r < 0x20 && r != '\n' || r == 0x7f }) {
		return Checkpoint{}, errMalformed
	}
	n, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != lines[1] {
		return Checkpoint{}, errMalformed
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return Checkpoint{}, errMalformed
	}
	c := Checkpoint{Origin: lines[0], Tree: tlog.Tree{N: n, Hash: tlog.Hash(root)}}
	if n == 0 && c.Tree.Hash != empty {
		return Checkpoint{}, errMalformed
	}
	if len(lines) > 3 {
		c.Extensions = lines[3:]
	}
	return c, nil
}

// empty is the root of the tree without leaves.
var empty, _ = tlog.TreeHash(0, nil)

// Sign gives the signed note of a checkpoint. A log signs with the key that has its origin for a name.
func Sign(c Checkpoint, signers ...note.Signer) ([]byte, error) {
	text, err := Format(c)
	if err != nil {
		return nil, err
	}
	if len(signers) == 0 {
		return nil, errors.New("cannot sign the checkpoint: no key given")
	}
	msg, err := note.Sign(&note.Note{Text: text}, signers...)
	if err != nil {
		return nil, fmt.Errorf("sign the checkpoint of size %d: %w", c.Tree.N, err)
	}
	return msg, nil
}

// Open reads a signed checkpoint of the log that origin names. At least one of the log's verifiers must have
// signed it, and none of them may have a bad signature on it; signatures of keys that are not given,
// such as those of witnesses, count for nothing. The note holds the verified signatures.
func Open(msg []byte, origin string, log ...note.Verifier) (Checkpoint, *note.Note, error) {
	n, err := note.Open(msg, note.VerifierList(log...))
	if err != nil {
		if unsigned := (*note.UnverifiedNoteError)(nil); errors.As(err, &unsigned) {
			err = errors.New("no key of the log has signed it")
		}
		return Checkpoint{}, nil, fmt.Errorf("open the checkpoint of %s: %w", origin, err)
	}
	c, err := Parse(n.Text)
	if err != nil {
		return Checkpoint{}, nil, fmt.Errorf("open the checkpoint of %s: %w", origin, err)
	}
	if c.Origin != origin {
		return Checkpoint{}, nil, fmt.Errorf("open the checkpoint of %s: it is of another log, %q", origin, c.Origin)
	}
	return c, n, nil
}
