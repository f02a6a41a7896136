package credential

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"sallyport/internal/access"
)

const (
	// Longest is the most that anything issued may live.
	Longest = 12 * time.Hour
	// most credentials of one principal hold at a time: a further log-in ends the oldest.
	most = 8
	// skew is what the clocks of the machines that look at a certificate may differ by.
	skew = 2 * time.Minute
)

var (
	bucketCredentials = []byte("credentials") // id -> entry
	bucketUsed        = []byte("used")        // SHA-256 of an identity token -> when it expires
	bucketRevocations = []byte("revocations") // revocation without its time and cause -> withdrawal
	bucketKeys        = []byte("keys")        // "mock" -> 32 bytes
	bucketTokens      = []byte("tokens")      // SHA-256 of a static token, hex -> when it was first known
	bucketBearers     = []byte("bearers")     // provider and name -> bearer
	bucketGlass       = []byte("glass")       // id of a log-in by break glass that nobody has looked at -> Glass
)

// Options of Open.
type Options struct {
	Dir string           // the data directory
	Now func() time.Time // nil is time.Now
}

// Store keeps what was issued and withdrawn. It is safe for concurrent use. What is read comes from memory; what is written is in the
// file before it is there.
type Store struct {
	now       func() time.Time
	db        *bbolt.DB
	authority *authority
	mockKey   []byte

	writing sync.Mutex // held over a transaction and what it means for memory, so that both are in one order

	mu      sync.RWMutex // guards what follows
	byID    map[string]*entry
	byName  map[string][]*entry // the oldest first
	revoked revocations
	bearers bearers

	forGood, ordered atomic.Pointer[[]access.Revocation] // of revoked
}

// entry is one credential: a certificate and a secret that were issued together. It is not changed once made.
type entry struct {
	ID         string               `json:"id"`
	Name       string               `json:"name"`
	Kind       access.PrincipalKind `json:"kind"`
	Groups     []string             `json:"groups,omitempty"`
	Attributes map[string]string    `json:"attributes,omitempty"`
	Proof      access.Proof         `json:"proof"` // Method is that of the log-in
	Expires    time.Time            `json:"expires"`
	Sum        []byte               `json:"certificate"` // SHA-256 of the certificate
	Salt       []byte               `json:"salt"`
	Iterations int                  `json:"iterations"`
	StoredKey  []byte               `json:"stored_key"` // RFC 5802, of the secret
	ServerKey  []byte               `json:"server_key"`
}

// principal is who an entry speaks for, proven by method.
func (e *entry) principal(method access.Method) access.Principal {
	p := access.Principal{Name: e.Name, Kind: e.Kind, Groups: slices.Clone(e.Groups), Proof: e.Proof}
	if len(e.Attributes) > 0 {
		p.Attributes = make(map[string]string, len(e.Attributes))
		for k, v := range e.Attributes {
			p.Attributes[k] = v
		}
	}
	p.Proof.Method, p.Proof.Credential, p.Proof.Expires = method, e.ID, e.Expires
	return p
}

// Open opens the file and the authority, making both the first time. Only one process can have them open.
func Open(opt Options) (_ *Store, err error) {
	s := &Store{now: opt.Now, byID: map[string]*entry{}, byName: map[string][]*entry{}, revoked: revocations{}, bearers: bearers{}}
	if s.now == nil {
		s.now = time.Now
	}
	path := filepath.Join(opt.Dir, "identity.db")
	if s.db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second}); err != nil {
		return nil, &access.Error{Kind: access.Unavailable, Message: "the file of credentials " + path + " cannot be opened",
			Hint: "another gateway may have it open; it has to be readable and writable", Err: err}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.db.Close())
		}
	}()
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if s.authority, err = openAuthority(filepath.Join(opt.Dir, "authority.key"), s.now); err != nil {
		return nil, err
	}
	return s, s.Sweep()
}

// Close closes the file. Nothing may be called after it.
func (s *Store) Close() error { return s.db.Close() }

func (s *Store) load() error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketCredentials, bucketUsed, bucketRevocations, bucketKeys, bucketTokens, bucketProviders, bucketGlass, bucketBearers, bucketLogins} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		keys := tx.Bucket(bucketKeys)
		if s.mockKey = slices.Clone(keys.Get([]byte("mock"))); len(s.mockKey) != keySize {
			s.mockKey = random(keySize)
			if err := keys.Put([]byte("mock"), s.mockKey); err != nil {
				return err
			}
		}
		if err := s.loadRevocations(tx); err != nil {
			return err
		}
		if err := s.loadBearers(tx); err != nil {
			return err
		}
		var list []*entry
		err := tx.Bucket(bucketCredentials).ForEach(func(_, v []byte) error {
			e := &entry{}
			if err := json.Unmarshal(v, e); err != nil {
				return fmt.Errorf("a credential cannot be read: %w", err)
			}
			list = append(list, e)
			return nil
		})
		slices.SortStableFunc(list, func(a, b *entry) int { return a.Proof.Issued.Compare(b.Proof.Issued) })
		for _, e := range list {
			s.keep(e)
		}
		return err
	})
}

// loadRevocations reads them. Those of one name in several cases are one, the one that withdraws more.
func (s *Store) loadRevocations(tx *bbolt.Tx) error {
	bucket := tx.Bucket(bucketRevocations)
	var moved [][]byte
	err := bucket.ForEach(func(k, v []byte) error {
		w := &withdrawal{}
		if err := json.Unmarshal(v, w); err != nil {
			return fmt.Errorf("a revocation cannot be read: %w", err) // to leave it out would let somebody in
		}
		if !bytes.Equal(k, w.key()) {
			moved = append(moved, bytes.Clone(k))
		}
		if o := s.revoked.same(w); o != nil {
			if o.Before.IsZero() || !w.Before.IsZero() && o.Before.After(w.Before) {
				w, o = o, w
			}
			s.revoked.remove(o)
			s.revoked.remove(w)
			w.Accounts = joined(w.Accounts, o.Accounts)
			w.keepOrder(o)
		}
		s.revoked.add(w)
		return nil
	})
	s.listRevoked()
	if err != nil || len(moved) == 0 {
		return err
	}
	for _, k := range moved {
		if err := bucket.Delete(k); err != nil {
			return err
		}
	}
	for _, w := range s.revoked.all() {
		text, err := json.Marshal(w)
		if err == nil {
			err = bucket.Put(w.key(), text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keep puts an entry into memory. The caller has the lock, or the Store to itself.
func (s *Store) keep(e *entry) {
	s.byID[e.ID] = e
	s.byName[e.Name] = append(s.byName[e.Name], e)
}

// drop takes entries out of memory. The caller has the lock.
func (s *Store) drop(list []*entry) {
	for _, e := range list {
		delete(s.byID, e.ID)
		left := slices.DeleteFunc(slices.Clone(s.byName[e.Name]), func(o *entry) bool { return o == e })
		if s.byName[e.Name] = left; len(left) == 0 {
			delete(s.byName, e.Name)
		}
	}
}

// live gives the entry of an id, if it holds now. The caller has the lock.
func (s *Store) live(id string) *entry {
	e := s.byID[id]
	if e == nil || !s.now().Before(e.Expires) {
		return nil
	}
	return e
}

// Sweep forgets what has expired, and revocations that nothing can match any more. It renews the authority when its time is near.
func (s *Store) Sweep() error {
	if err := s.authority.renew(); err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	now := s.now()
	var old []*entry
	s.mu.RLock()
	for _, e := range s.byID {
		if !now.Before(e.Expires) {
			old = append(old, e)
		}
	}
	over, forgotten := s.revoked.over(now), s.bearers.forgotten(now)
	s.mu.RUnlock()
	used, err := s.usedBefore(now)
	if err != nil {
		return err
	}
	logins, err := s.loginsBefore(now)
	if err != nil || len(old)+len(over)+len(used)+len(forgotten)+len(logins) == 0 {
		return err
	}
	err = s.db.Update(func(tx *bbolt.Tx) error {
		if err := deleteEntries(tx, old); err != nil {
			return err
		}
		for _, w := range over {
			if err := tx.Bucket(bucketRevocations).Delete(w.key()); err != nil {
				return err
			}
		}
		for _, k := range forgotten {
			if err := tx.Bucket(bucketBearers).Delete(k.at()); err != nil {
				return err
			}
		}
		for _, key := range used {
			if err := tx.Bucket(bucketUsed).Delete(key); err != nil {
				return err
			}
		}
		for _, key := range logins {
			if err := tx.Bucket(bucketLogins).Delete(key); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(old)
	for _, w := range over {
		s.revoked.remove(w)
	}
	s.listRevoked()
	for _, k := range forgotten {
		delete(s.bearers, k)
	}
	return nil
}

func deleteEntries(tx *bbolt.Tx, list []*entry) error {
	for _, e := range list {
		if err := tx.Bucket(bucketCredentials).Delete([]byte(e.ID)); err != nil {
			return err
		}
	}
	return nil
}

// MockKey is what the salts of names without a secret are made of, and those of names with one. It stays the same over restarts.
func (s *Store) MockKey() []byte { return s.mockKey }
