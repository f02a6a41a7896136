package vouch

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit"
	"sallyport/audit/cosignature"
	"sallyport/audit/internal/show"
	"sallyport/audit/timestamp"
)

// Standing is how far a log is vouched for. All sizes are numbers of records, from the first on.
type Standing struct {
	Witnesses []Witness `json:"witnesses"`
	Needed    int       `json:"quorum"`       // how many are enough
	Quorum    int64     `json:"quorum_size"`  // that so many have seen; 0 for none
	Best      []byte    `json:"-"`            // the checkpoint of that size, with its cosignatures, or the best there is
	Stamp     *Stamp    `json:"timestamp"`    // nil for none
	Stamping  *Health   `json:"timestamping"` // who was to stamp and did not; nil where nothing is known
	Problems  []string  `json:"problems"`     // what cannot be: files that were changed, or of another log
}

// Witness is how far one has come.
type Witness struct {
	Name   string    `json:"name"`
	Key    string    `json:"key"`
	URL    string    `json:"url,omitempty"`
	Size   int64     `json:"size"` // of the largest tree that it has cosigned; 0 for none
	Time   time.Time `json:"time,omitzero"`
	Health *Health   `json:"health,omitempty"` // nil where it answered when it was last asked

	note []byte
}

// Stamp is what an authority has said.
type Stamp struct {
	Size      int64     `json:"size"`
	Time      time.Time `json:"time"`
	Authority string    `json:"authority"`
}

// Read tells how far the log is vouched for whose directory is log. policy and roots are whom to trust; nil ones are taken
// from the log's own folder, where they are worth as much as whoever can write it.
func Read(log string, policy *cosignature.Policy, roots *x509.CertPool) (*Standing, error) {
	dir := filepath.Join(log, Folder)
	s := &Standing{Witnesses: []Witness{}, Problems: []string{}}
	if policy == nil {
		text, err := os.ReadFile(filepath.Join(dir, PolicyFile))
		if errors.Is(err, fs.ErrNotExist) {
			text, err = cosignature.Policy{}.Format(), nil
		}
		if err != nil {
			return nil, err
		}
		own, err := cosignature.ParsePolicy(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, PolicyFile), err)
		}
		policy = &own
	}
	health := readHealth(dir)
	s.Needed = policy.Quorum
	verifiers := policy.Verifiers()
	// What vouches is read before the log is: a gateway that runs may add to both meanwhile.
	sizes, err := stamps(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	notes, failed := make([][]byte, len(verifiers)), make([]error, len(verifiers))
	for i, v := range verifiers {
		notes[i], failed[i] = os.ReadFile(filepath.Join(dir, fmt.Sprintf("%s%08x", witnessFile, v.KeyHash())))
	}
	p, err := audit.OpenProver(log)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	for i, w := range policy.Witnesses {
		out := Witness{Name: w.Name, Key: w.Key, URL: w.URL}
		if h, ok := health["witness "+w.Name]; ok {
			out.Health = &h
		}
		msg, err := notes[i], failed[i]
		if err == nil {
			var size int64
			var all []cosignature.Cosignature
			if size, err = s.ours(p, msg); err == nil {
				all, err = cosignature.Verify(msg, verifiers[i])
			}
			if err == nil && len(all) != 1 {
				err = errors.New("it has not signed what is kept of it")
			}
			if err == nil {
				out.Size, out.Time, out.note = size, all[0].Time, msg
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.Problems = append(s.Problems, fmt.Sprintf("witness %s: %s", w.Name, show.Clean(err.Error())))
		}
		s.Witnesses = append(s.Witnesses, out)
	}
	s.quorum()
	if h, ok := health[authorities]; ok {
		s.Stamping = &h
	}
	return s, s.stamp(dir, sizes, p, roots)
}

// ours gives the size of a checkpoint, which must be of this log.
func (s *Standing) ours(p *audit.Prover, msg []byte) (int64, error) {
	c, err := p.Keys().Open(msg)
	if err != nil {
		return 0, err
	}
	root, err := p.Root(c.Tree.N)
	if err != nil {
		return 0, err
	}
	if root != c.Tree.Hash {
		return 0, fmt.Errorf("it has seen other records than the %d of this log", c.Tree.N)
	}
	return c.Tree.N, nil
}

// quorum finds the largest size that enough witnesses have seen: who has seen a larger tree of the same log has seen
// what is in that one.
func (s *Standing) quorum() {
	seen := slices.DeleteFunc(slices.Clone(s.Witnesses), func(w Witness) bool { return w.Size == 0 })
	slices.SortFunc(seen, func(a, b Witness) int { return cmp.Compare(b.Size, a.Size) })
	if s.Needed > 0 && len(seen) >= s.Needed {
		s.Quorum = seen[s.Needed-1].Size
	}
	if len(seen) > 0 {
		s.Best = seen[min(max(s.Needed, 1), len(seen))-1].note
	}
}

// stamp finds the newest timestamp that is good.
func (s *Standing) stamp(dir string, sizes []int64, p *audit.Prover, roots *x509.CertPool) error {
	if len(sizes) == 0 {
		return nil
	}
	if roots == nil {
		text, err := os.ReadFile(filepath.Join(dir, RootsFile))
		if err != nil {
			return err
		}
		roots = x509.NewCertPool()
		roots.AppendCertsFromPEM(text)
	}
	for _, size := range slices.Backward(sizes) {
		path := filepath.Join(dir, sizeName(size))
		msg, err := os.ReadFile(path)
		var token []byte
		if err == nil {
			token, err = os.ReadFile(path + tokenSuffix)
		}
		var t timestamp.Stamp
		if err == nil {
			t, err = timestamp.Verify(token, msg, roots)
		}
		var n int64
		if err == nil {
			n, err = s.ours(p, msg)
		}
		if err == nil && n != size {
			err = fmt.Errorf("it is of %d records", n)
		}
		if err == nil {
			s.Stamp = &Stamp{size, t.Time, show.Clean(t.Authority)}
			return nil
		}
		s.Problems = append(s.Problems, fmt.Sprintf("timestamp of record %d: %s", size, show.Clean(err.Error())))
		if len(s.Problems) > 8 {
			return nil
		}
	}
	return nil
}

// StampFor gives the oldest timestamp of a tree that has the record at pos and is no larger than most, with the checkpoint
// that was stamped and a proof that the tree of most records continues it (none where it is that tree). nil is none.
func StampFor(dir string, p *audit.Prover, pos uint64, most int64) (*Stamped, error) {
	dir = filepath.Join(dir, Folder)
	sizes, err := stamps(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, size := range sizes {
		if uint64(size) < pos || size > most {
			continue
		}
		out := new(Stamped)
		path := filepath.Join(dir, sizeName(size))
		var err1, err2, err3 error
		out.Checkpoint, err1 = os.ReadFile(path)
		out.Token, err2 = os.ReadFile(path + tokenSuffix)
		if size < most {
			out.Grown, err3 = p.Grown(size, most)
		}
		return out, errors.Join(err1, err2, err3)
	}
	return nil, nil
}

// Stamped is a checkpoint with its token.
type Stamped struct {
	Checkpoint []byte
	Token      []byte // DER
	Grown      tlog.TreeProof
}
