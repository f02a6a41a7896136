package witness

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"sallyport/audit/checkpoint"
	"sallyport/audit/cosignature"
	"sallyport/audit/internal/durable"
)

// KeyFile is the witness's private key in its directory, mode 0600. The public one follows from it.
const KeyFile = "witness.key"

// CreateKey makes the key of a new witness in dir and gives its public half. It never replaces a key: whoever
// trusts the witness knows it by that.
func CreateKey(dir, name string) (public string, err error) {
	private, _, err := checkpoint.GenerateKey(name)
	if err != nil {
		return "", err
	}
	if err := durable.Create(filepath.Join(dir, KeyFile), []byte(private+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write the witness's key: %w", err)
	}
	return cosignature.PublicKey(private)
}

// LoadKey reads the key of the witness in dir: what signs with the present time, and the public half. It
// refuses a key that others than its owner may read or write.
func LoadKey(dir string) (signer note.Signer, public string, err error) {
	path := filepath.Join(dir, KeyFile)
	private, err := checkpoint.ReadPrivate(path)
	if err != nil {
		return nil, "", err
	}
	if signer, err = cosignature.NewSigner(private, time.Now); err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	if public, err = cosignature.PublicKey(private); err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	return signer, public, nil
}

// ParseLogs reads a list of logs' public keys, one a line (what `checkpoint.pub` holds); lines that begin with #
// are comments. A log whose key was replaced has several lines.
func ParseLogs(text string) ([]note.Verifier, error) {
	var all []note.Verifier
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		v, err := note.NewVerifier(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: not a log's public key in the form of C2SP signed-note (name+hash+base64)", n)
		}
		for _, o := range all {
			if o.Name() == v.Name() && o.KeyHash() == v.KeyHash() {
				return nil, fmt.Errorf("line %d: the key is there already", n)
			}
		}
		all = append(all, v)
	}
	return all, nil
}
