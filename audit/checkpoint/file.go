package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"sallyport/audit/internal/durable"
)

// Names of the files in a directory of keys.
const (
	PrivateFile = "checkpoint.key"  // the private key that signs now, mode 0600
	PublicFile  = "checkpoint.pub"  // the first public key
	NotesFile   = "checkpoint.keys" // notes about keys, where the first one was replaced
	nextFile    = "checkpoint.key.next"
)

// CreateKey makes the first key of a log in dir and gives its public half. Where a crash left a private key
// alone it finishes the work; it never replaces a key.
func CreateKey(dir, name string) (public string, err error) {
	keyPath, pubPath := filepath.Join(dir, PrivateFile), filepath.Join(dir, PublicFile)
	_, errPub := os.Stat(pubPath)
	private, err := ReadPrivate(keyPath)
	switch {
	case err == nil && errPub == nil:
		return "", fmt.Errorf("cannot make a key in %s: it has one; to replace it, rotate it", dir)
	case errors.Is(err, fs.ErrNotExist) && errPub == nil:
		return "", fmt.Errorf("cannot make a key in %s: %s is there and the private key is not; restore that, or move the public key away and give auditors a new one", dir, PublicFile)
	case errors.Is(err, fs.ErrNotExist):
		if private, public, err = GenerateKey(name); err != nil {
			return "", err
		}
		if err := durable.Create(keyPath, []byte(private+"\n"), 0o600); err != nil {
			return "", fmt.Errorf("write the private key: %w", err)
		}
	case err != nil:
		return "", err
	default:
		if public, err = Public(private); err != nil {
			return "", fmt.Errorf("%s: %w", keyPath, err)
		}
		if !strings.HasPrefix(public, name+"+") {
			return "", fmt.Errorf("cannot make a key %q in %s: the private key there has another name", name, dir)
		}
	}
	if err := durable.Create(pubPath, []byte(public+"\n"), 0o644); err != nil {
		return "", fmt.Errorf("write the public key: %w", err)
	}
	return public, nil
}

// LoadVerifiers reads the public keys of the log whose keys are in dir.
func LoadVerifiers(dir string) (Keys, error) {
	first, err := os.ReadFile(filepath.Join(dir, PublicFile))
	if err != nil {
		return Keys{}, fmt.Errorf("read the public key: %w", err)
	}
	keys, err := First(strings.TrimSuffix(string(first), "\n"))
	if err != nil {
		return Keys{}, fmt.Errorf("%s: %w", filepath.Join(dir, PublicFile), err)
	}
	notes, err := readNotes(dir)
	if err != nil {
		return Keys{}, err
	}
	if keys, err = keys.Follow(notes); err != nil {
		return Keys{}, fmt.Errorf("%s: %w", filepath.Join(dir, NotesFile), err)
	}
	return keys, nil
}

// LoadSigner reads the private key that belongs to the current public one. It refuses a key that others than
// its owner may read or write.
func LoadSigner(dir string) (note.Signer, error) {
	keys, err := LoadVerifiers(dir)
	if err != nil {
		return nil, err
	}
	return signerOf(dir, keys)
}

// signerOf finds the private key of the current public one: after a crash during Rotate it still has the
// name that it was written under.
func signerOf(dir string, keys Keys) (note.Signer, error) {
	for _, name := range []string{PrivateFile, nextFile} {
		path := filepath.Join(dir, name)
		private, err := ReadPrivate(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		public, err := Public(private)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if public == keys.Current().Public {
			return note.NewSigner(private)
		}
	}
	return nil, fmt.Errorf("no private key in %s belongs to the log's current public key %s; restore %s from a backup", dir, short(keys), PrivateFile)
}

// short names the current key without its base64.
func short(keys Keys) string {
	v := keys.verify[len(keys.verify)-1]
	return fmt.Sprintf("%s+%08x", v.Name(), v.KeyHash())
}

// Rotate replaces the key of the log in dir: the current key introduces a new one, which signs trees from
// the size from on, and is destroyed. A crash leaves the old key or the new one in force.
// Nothing else may sign or rotate with the keys of dir meanwhile.
func Rotate(dir string, from int64) (Keys, error) {
	keys, err := LoadVerifiers(dir)
	if err != nil {
		return Keys{}, err
	}
	current, err := signerOf(dir, keys)
	if err != nil {
		return Keys{}, err
	}
	if err := settle(dir, keys); err != nil {
		return Keys{}, err
	}
	private, public, err := GenerateKey(keys.Origin)
	if err != nil {
		return Keys{}, err
	}
	next, err := note.NewSigner(private)
	if err != nil {
		return Keys{}, err
	}
	msg, grown, err := keys.Introduce(from, public, current, next)
	if err != nil {
		return Keys{}, err
	}
	notes, err := readNotes(dir)
	if err != nil {
		return Keys{}, err
	}
	// The new key is on disk before anybody is told of it, and the old one goes after that.
	if err := durable.Replace(filepath.Join(dir, nextFile), []byte(private+"\n"), 0o600); err != nil {
		return Keys{}, fmt.Errorf("write the next private key: %w", err)
	}
	if err := durable.Replace(filepath.Join(dir, NotesFile), append(notes, msg...), 0o644); err != nil {
		return Keys{}, fmt.Errorf("write the notes about keys: %w", err)
	}
	return grown, settle(dir, grown)
}

// settle gives the next key its name if it is the current one; if it never came into force it stays, and
// the next rotation overwrites it.
func settle(dir string, keys Keys) error {
	path := filepath.Join(dir, nextFile)
	private, err := ReadPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if public, err := Public(private); err != nil || public != keys.Current().Public {
		return nil
	}
	if err := durable.Rename(path, filepath.Join(dir, PrivateFile)); err != nil {
		return fmt.Errorf("put the next private key in place: %w", err)
	}
	return nil
}

func readNotes(dir string) ([]byte, error) {
	notes, err := os.ReadFile(filepath.Join(dir, NotesFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the notes about keys: %w", err)
	}
	return notes, nil
}

// ReadPrivate reads the text of a private key file. It refuses one that others than its owner may read or
// write, since they may have.
func ReadPrivate(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read a private key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat() // of what is open, not of what the path says by now
	if err != nil {
		return "", fmt.Errorf("read a private key: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("refused the private key %s: it is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return "", fmt.Errorf("refused the private key %s: its mode %04o lets others at it; chmod 600 it, and replace the key if somebody may have read it", path, mode)
	}
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return "", fmt.Errorf("read a private key: %w", err)
	}
	return strings.TrimSuffix(string(b), "\n"), nil
}
