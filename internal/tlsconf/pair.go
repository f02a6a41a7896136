package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/internal/access"
)

const (
	// lookEvery is the shortest time between two looks at the files.
	lookEvery = time.Second
	// soon is how long before its end a certificate is warned of, and warnEvery how often. Of one that lives for less than three times that, it is
	// the last third: whoever renews those does so earlier.
	soon      = 14 * 24 * time.Hour
	warnEvery = 24 * time.Hour
)

// Source gives the certificate of a door for handshakes.
type Source struct {
	door, cert, key string
	own             *Authority // nil where files are used
	names           []string
	min             uint16
	log             *slog.Logger
	now             func() time.Time

	current atomic.Pointer[tls.Certificate] // with its Leaf
	looked  atomic.Int64                    // when, in ns

	mu     sync.Mutex // guards the fields below
	stamps stamps     // of the files, as they were when current was read
	failed stamps     // as they were when it was last said that they cannot be used
	stuck  time.Time  // when it was last said that no own certificate can be made
	warned time.Time  // of the end that nears
}

// Options say where a door's certificate comes from: Cert and Key, PEM files, or an authority and the names to be certified.
type Options struct {
	Door       string // for messages
	Cert, Key  string
	Own        *Authority
	Names      []string // host names and addresses, of an own certificate
	MinVersion string   // "1.2", which is also the default, or "1.3"
	Log        *slog.Logger
	Now        func() time.Time // nil is time.Now
}

// Open reads or makes the certificate. It fails with an *access.Error where that gives none that can be used; one that has expired can.
func Open(o Options) (*Source, error) {
	s := &Source{door: o.Door, cert: o.Cert, key: o.Key, own: o.Own, names: o.Names, min: tls.VersionTLS12, log: o.Log, now: o.Now}
	if o.MinVersion == "1.3" {
		s.min = tls.VersionTLS13
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(); err != nil {
		return nil, err
	}
	s.warn()
	return s, nil
}

// Config is the server's side of TLS with the certificate of the time.
func (s *Source) Config() *tls.Config {
	return &tls.Config{MinVersion: s.min, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.certificate(), nil }}
}

// certificate looks at the files where that is due. One handshake does; those beside it take what is there.
func (s *Source) certificate() *tls.Certificate {
	if now := s.now(); now.UnixNano()-s.looked.Load() >= int64(lookEvery) && s.mu.TryLock() {
		s.look()
		s.mu.Unlock()
	}
	return s.current.Load()
}

// Look looks at the files now.
func (s *Source) Look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
}

func (s *Source) look() {
	if err := s.load(); err != nil && s.news() {
		s.log.Warn("certificate not replaced: the one of before stays", "door", s.door, "error", err)
	}
	s.warn()
}

// news reports whether a failure is to be told of: of the same files once, of an own certificate every warnEvery.
func (s *Source) news() bool {
	if s.own != nil {
		now := s.now()
		if now.Sub(s.stuck) < warnEvery {
			return false
		}
		s.stuck = now
		return true
	}
	now := s.stat()
	if now == s.failed {
		return false
	}
	s.failed = now
	return true
}

// load takes a new certificate where there is one. Files that changed while they were read are seen again: their stamps are older.
func (s *Source) load() error {
	s.looked.Store(s.now().UnixNano())
	if s.own != nil {
		return s.renew()
	}
	before := s.stat()
	if s.current.Load() != nil && before == s.stamps && before.known() {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(s.cert, s.key)
	if err != nil {
		return &access.Error{Kind: access.Invalid, Message: fmt.Sprintf("the certificate of the %s door cannot be used (%s, %s): %v", s.door, s.cert, s.key, err),
			Hint: "give a PEM file with the certificate, and those up to its authority, and one with its key"}
	}
	replaced := s.current.Load() != nil
	s.current.Store(&pair)
	s.stamps, s.failed, s.warned = before, stamps{}, time.Time{}
	if replaced {
		s.log.Info("certificate replaced", "door", s.door, "serial", pair.Leaf.SerialNumber.Text(16), "until", pair.Leaf.NotAfter)
	}
	return nil
}

// renew has a new own certificate made when a third of the time of the one in use is left.
func (s *Source) renew() error {
	if c := s.current.Load(); c != nil && c.Leaf.NotAfter.Sub(s.now()) > leafLife/3 {
		return nil
	}
	pair, err := s.own.Certificate(s.names)
	if err != nil {
		return err
	}
	s.current.Store(pair)
	s.stuck, s.warned = time.Time{}, time.Time{}
	return nil
}

// warn tells of an end that nears, or has passed.
func (s *Source) warn() {
	now := s.now()
	if text := Ending(s.current.Load().Leaf, now); text != "" && now.Sub(s.warned) >= warnEvery {
		s.warned = now
		s.log.Warn(text, "door", s.door, "until", s.current.Load().Leaf.NotAfter)
	}
}

// Leaf is the certificate in use.
func (s *Source) Leaf() *x509.Certificate { return s.current.Load().Leaf }

// Authority is the certificate, PEM, that clients can check a door's own one by; nil where files are used.
func (s *Source) Authority() []byte {
	if s.own == nil {
		return nil
	}
	return s.own.PEM()
}

// Ending says that a certificate does not hold, or soon will not; "" where neither is so.
func Ending(c *x509.Certificate, now time.Time) string {
	switch {
	case now.After(c.NotAfter):
		return "certificate has expired"
	case now.Before(c.NotBefore):
		return "certificate is not valid yet"
	case c.NotAfter.Sub(now) < min(soon, c.NotAfter.Sub(c.NotBefore)/3):
		return "certificate expires soon"
	}
	return ""
}

// stamp tells a file from what was in its place before. Where names are links that are moved, as with Kubernetes secrets, it is the file
// behind them.
type stamp struct {
	modified, size int64
	file           string // what the file system calls it
}

type stamps [2]stamp // of certificate and key

func (s stamps) known() bool { return s[0] != stamp{} && s[1] != stamp{} }

func (s *Source) stat() (out stamps) {
	for i, path := range []string{s.cert, s.key} {
		if st, err := os.Stat(path); err == nil {
			out[i] = stamp{st.ModTime().UnixNano(), st.Size(), fileID(st)}
		}
	}
	return out
}
