package login

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/internal/access"
)

// Names in a gateway's folder.
const (
	credentialFile = "credential.json"
	keyFile        = "key.pem"
	certFile       = "cert.pem"
	rootFile       = "root.pem"
	lockFile       = "lock"
	currentFile    = "gateway" // in the folder above: the URL that was logged in at last
)

// Credential is what a gateway gave at a log-in, beside the key and the certificates, which are files of their own for other programs.
type Credential struct {
	Gateway   string   `json:"gateway"` // URL of its web door
	Provider  string   `json:"provider"`
	Issuer    string   `json:"issuer"`
	Client    string   `json:"client_id"`
	Principal string   `json:"principal"`
	Groups    []string `json:"groups,omitempty"`
	ID        string   `json:"credential"`
	// Secret is a password at the pgwire door, for tools without certificates.
	Secret  string    `json:"secret"`
	Issued  time.Time `json:"issued"`
	Expires time.Time `json:"expires"` // by the gateway's clock
	// Behind is how far this machine's clock was behind the gateway's, where that is more than a moment.
	Behind      time.Duration `json:"clock_behind,omitempty"`
	Connections []string      `json:"connections,omitempty"`
	PGWire      PGWire        `json:"pgwire"`
	MCP         string        `json:"mcp,omitempty"`
	Certified   bool          `json:"certified"` // there is a certificate
	Authority   bool          `json:"authority"` // the pgwire door's own authority is in a file
	CAFile      string        `json:"ca_file,omitempty"`
	// Refresh is the provider's refresh token, where one was asked for; Nonce is that of the log-in that it stems from.
	Refresh string `json:"refresh_token,omitempty"`
	Nonce   string `json:"nonce,omitempty"`
	// Earlier is what this machine was given before and has not withdrawn: sessions may rest on it yet.
	Earlier []Earlier `json:"earlier,omitempty"`
}

// Holds says whether the credential is good for a new session at now, and for how much longer than a moment.
func (c *Credential) Holds(now time.Time) bool {
	left := c.Expires.Sub(now.Add(c.Behind))
	if c.Refresh != "" && left < c.Expires.Sub(c.Issued.Add(c.Behind))/4 {
		return false // a new one costs nobody anything
	}
	return left > time.Minute
}

// Profile is the folder of one gateway. Its files can be read by their owner alone.
type Profile struct {
	root, Dir, Gateway string
}

// Root is the folder of all profiles: sallyport in XDG_CONFIG_HOME, which is ~/.config where it is not set.
func Root() (string, error) {
	if dir := os.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) { // the specification has relative ones ignored
		return filepath.Join(dir, "sallyport"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", &access.Error{Kind: access.Invalid, Message: "there is no place for a log-in", Hint: "set HOME or XDG_CONFIG_HOME", Err: err}
	}
	return filepath.Join(home, ".config", "sallyport"), nil
}

// Open is the profile of a gateway; its folder is there afterwards.
func Open(root, gateway string) (*Profile, error) {
	u, err := checkURL(gateway)
	if err != nil {
		return nil, err
	}
	p := &Profile{root: root, Gateway: strings.TrimSuffix(u.String(), "/")}
	p.Dir = filepath.Join(root, folder(u))
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return nil, &access.Error{Kind: access.Unavailable, Message: "the folder for log-ins cannot be made", Hint: "make " + filepath.Dir(root) + " writable, or set XDG_CONFIG_HOME", Err: err}
	}
	for _, dir := range []string{root, p.Dir} {
		if err := private(dir); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// folder names a gateway's folder: readable, and different for different URLs.
func folder(u *url.URL) string {
	sum := sha256.Sum256([]byte(strings.TrimSuffix(u.String(), "/")))
	name := strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' {
			return r
		}
		return '_'
	}, strings.ToLower(u.Host))
	return name + "-" + hex.EncodeToString(sum[:4])
}

// private refuses what others can read or write, or own.
func private(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		// Whoever owns the link could point it elsewhere tomorrow; what it points at is looked at today.
		if target, err := filepath.EvalSymlinks(path); err == nil && int(st.Uid) == os.Geteuid() {
			return private(target)
		}
	}
	if info.Mode().Perm()&0o077 != 0 || int(st.Uid) != os.Geteuid() {
		return &access.Error{Kind: access.Denied, Message: path + " can be read by others", Hint: "whoever has it can come in as you: chmod go= " + path + ", and `sallyport logout`, if somebody may have"}
	}
	return nil
}

// Lock keeps other log-ins at this gateway out until unlock is called. waiting is called once if another one has it, with that one's process
// where that is known, or 0.
func (p *Profile) Lock(ctx context.Context, waiting func(pid int)) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(p.Dir, lockFile), os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			f.Truncate(0)
			fmt.Fprintln(f, os.Getpid()) // for who waits
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		if waiting != nil {
			holder, _ := os.ReadFile(f.Name())
			pid, _ := strconv.Atoi(strings.TrimSpace(string(holder)))
			waiting(pid)
			waiting = nil
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Load reads the credential; nil where nobody is logged in.
func (p *Profile) Load() (*Credential, error) {
	path := filepath.Join(p.Dir, credentialFile)
	text, err := p.read(credentialFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c := new(Credential)
	if err := json.Unmarshal(text, c); err != nil {
		return nil, &access.Error{Kind: access.Invalid, Message: path + " cannot be read", Hint: "delete it and log in anew", Err: err}
	}
	for _, name := range []string{keyFile, certFile} {
		if err := private(filepath.Join(p.Dir, name)); c.Certified && errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		} else if c.Certified && err != nil {
			return nil, err
		}
	}
	return c, nil
}

// read gives a file that nobody else can read.
func (p *Profile) read(name string) ([]byte, error) {
	path := filepath.Join(p.Dir, name)
	if err := private(path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// save keeps a credential. The key comes first and the credential last: who reads in between finds a log-in that has ended, at worst.
func (p *Profile) save(c *Credential, key, cert, root []byte) error {
	for _, f := range []struct {
		name string
		text []byte
	}{{keyFile, key}, {certFile, cert}, {rootFile, root}} {
		path, err := filepath.Join(p.Dir, f.name), error(nil)
		if len(f.text) == 0 {
			err = os.Remove(path)
			if errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		} else {
			err = writeFile(path, f.text)
		}
		if err != nil {
			return fmt.Errorf("keep the log-in: %w", err)
		}
	}
	if err := p.put(c); err != nil {
		return err
	}
	return writeFile(filepath.Join(p.root, currentFile), []byte(p.Gateway+"\n"))
}

// put keeps what is in no file of its own.
func (p *Profile) put(c *Credential) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(p.Dir, credentialFile), append(text, '\n')); err != nil {
		return fmt.Errorf("keep the log-in: %w", err)
	}
	return nil
}

// writeFile puts a file in place whole or not at all, for its owner alone.
func writeFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// Forget deletes the log-in. The folder stays, for its lock, and so does the door's authority, which is no secret: programs that name it then say
// that they are not let in, rather than to advise against looking whom they talk to.
func (p *Profile) Forget() (err error) {
	for _, name := range []string{credentialFile, keyFile, certFile} {
		if e := os.Remove(filepath.Join(p.Dir, name)); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// Cert, Key and Authority are the paths of the files, for other programs.
func (p *Profile) Cert() string      { return filepath.Join(p.Dir, certFile) }
func (p *Profile) Key() string       { return filepath.Join(p.Dir, keyFile) }
func (p *Profile) Authority() string { return filepath.Join(p.Dir, rootFile) }

// Current is the gateway that was logged in at last; "" where there is none.
func Current(root string) (string, error) { return firstLine(filepath.Join(root, currentFile)) }

// All are the gateways that somebody is or was logged in at.
func All(root string) ([]*Profile, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []*Profile
	for _, e := range entries {
		p := &Profile{root: root, Dir: filepath.Join(root, e.Name())}
		text, err := p.read(credentialFile)
		var c Credential
		if err != nil || json.Unmarshal(text, &c) != nil || c.Gateway == "" {
			continue // no log-in
		}
		p.Gateway = c.Gateway
		all = append(all, p)
	}
	return all, err
}
