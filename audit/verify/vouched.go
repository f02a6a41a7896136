package verify

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit/checkpoint"
	"sallyport/audit/cosignature"
)

// Trust is what whoever verifies has from elsewhere than the evidence.
type Trust struct {
	// Key is the log's first public key; "" trusts the one in the evidence.
	Key string
	// Kept is a signed checkpoint of the log that was kept elsewhere: the log must go on from it. nil is none.
	Kept []byte
	// Witnesses say whose cosignatures count; nil trusts those that the evidence names.
	Witnesses *cosignature.Policy
	// Stamp reads an RFC 3161 token (DER) that must be of data: when, and by which authority. This package has no
	// certificates and knows nothing of CMS; nil leaves timestamps aside, and the report says so.
	Stamp func(token, data []byte) (time.Time, string, error)
}

// vouched is a checkpoint with what others said of it.
type vouched struct {
	what string // as sentences call it
	tree tlog.Tree
	by   []cosignature.Cosignature
	at   time.Time // of a timestamp; zero for none
	tsa  string
	good bool // the log had that tree
}

// witnesses gives the policy, and says what its keys are worth.
func (r *Report) witnesses(own []byte, t Trust) cosignature.Policy {
	if t.Witnesses != nil {
		return *t.Witnesses
	}
	if own == nil {
		return cosignature.Policy{}
	}
	p, err := cosignature.ParsePolicy(own)
	if err != nil {
		r.problem("the list of witnesses: %v", err)
	} else if len(p.Witnesses) > 0 {
		r.unproven("whose keys the %d witnesses' are: none were given to compare with those in the evidence", len(p.Witnesses))
	}
	return p
}

// cosigned reads a checkpoint for what witnesses have said of it.
func (r *Report) cosigned(what string, msg []byte, keys checkpoint.Keys, p cosignature.Policy) *vouched {
	c, err := keys.Open(msg)
	var by []cosignature.Cosignature
	if err == nil {
		by, err = cosignature.Verify(msg, p.Verifiers()...)
	}
	if err != nil {
		r.problem("%s: %v", what, err)
		return nil
	}
	return &vouched{what: what, tree: c.Tree, by: by}
}

// stamped reads a checkpoint and the token that an authority has given for it.
func (r *Report) stamped(what string, msg, token []byte, keys checkpoint.Keys, t Trust) *vouched {
	c, err := keys.Open(msg)
	if err != nil {
		r.problem("%s: %v", what, err)
		return nil
	}
	v := &vouched{what: what, tree: c.Tree}
	if v.at, v.tsa, err = t.Stamp(token, msg); err != nil {
		r.problem("%s: %v", what, err)
		return nil
	}
	return v
}

// told says up to where a log is vouched for. all are of checkpoints that the log had, or not.
func (r *Report) told(p cosignature.Policy, all []*vouched, unread int) {
	last := map[uint32]cosignature.Cosignature{}
	size := map[uint32]int64{}
	stamps, stamp := 0, (*vouched)(nil)
	for _, v := range all {
		if !v.good {
			r.problem("%s is of other records than these: the log was rolled back or forked", v.what)
			continue
		}
		for _, c := range v.by {
			if _, seen := last[c.Key]; !seen || size[c.Key] < v.tree.N {
				last[c.Key], size[c.Key] = c, v.tree.N
			}
		}
		if !v.at.IsZero() {
			if stamps++; stamp == nil || stamp.tree.N < v.tree.N {
				stamp = v
			}
		}
	}
	r.quorum(p, last, size)
	switch {
	case stamp != nil:
		r.proven("records 1 to %d were there at %s, which %s has signed; %d timestamps say so of this many records or fewer", stamp.tree.N, stamp.at.UTC().Format(time.RFC3339), stamp.tsa, stamps)
	case unread > 0:
		r.unproven("what %d timestamps say: no authority's certificates were given. `openssl ts -verify -data CHECKPOINT -in TOKEN -token_in -CAfile ROOTS` tells", unread)
	default:
		r.unproven("when the records were written: no authority has timestamped them, and their times are those of the gateway's clock")
	}
}

// quorum says how many witnesses have seen what.
func (r *Report) quorum(p cosignature.Policy, last map[uint32]cosignature.Cosignature, size map[uint32]int64) {
	var sizes []int64
	for _, v := range p.Verifiers() {
		if c, ok := last[v.KeyHash()]; ok {
			sizes = append(sizes, size[c.Key])
		}
	}
	slices.SortFunc(sizes, func(a, b int64) int { return int(min(1, max(-1, b-a))) })
	switch {
	case len(p.Witnesses) == 0:
		r.unproven("that nobody was shown another log: no witness is named")
		return
	case len(sizes) == 0:
		r.unproven("that nobody was shown another log: none of %d witnesses has cosigned it", len(p.Witnesses))
		return
	}
	need := max(p.Quorum, 1)
	if len(sizes) < need {
		r.unproven("that nobody was shown another log: %d of %d witnesses have cosigned it, and %d are needed", len(sizes), len(p.Witnesses), need)
	} else {
		n := sizes[need-1]
		k := 0
		var who []string
		for i, v := range p.Verifiers() {
			if c, ok := last[v.KeyHash()]; ok && size[c.Key] >= n {
				k++
				who = append(who, fmt.Sprintf("%s saw %d at %s", p.Witnesses[i].Name, size[c.Key], c.Time.Format(time.RFC3339)))
			}
		}
		r.proven("witnessed up to record %d by %d of %d, of whom %d are needed (%s): they have seen this log and no other that contradicts it", n, k, len(p.Witnesses), need, strings.Join(who, ", "))
	}
}

// outside reads what a log's folder has of others' words.
func (v *dirVerifier) outside(dir string, keys checkpoint.Keys, t Trust) error {
	dir = filepath.Join(dir, "vouched")
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	data := map[string][]byte{}
	for _, f := range files {
		if f.Name() == "policy" || strings.HasPrefix(f.Name(), "witness.") || strings.HasPrefix(f.Name(), "timestamp.") {
			if data[f.Name()], err = os.ReadFile(filepath.Join(dir, f.Name())); err != nil {
				return err
			}
		}
	}
	v.policy = v.witnesses(data["policy"], t)
	for _, f := range files {
		name := f.Name()
		text := data[name]
		checkpointOf, token := strings.CutSuffix(name, ".tsr")
		switch {
		case strings.HasPrefix(name, "witness."):
			if c := v.cosigned("the checkpoint that "+name+" has cosigned", text, keys, v.policy); c != nil {
				v.vouched = append(v.vouched, c)
			}
		case !token || !strings.HasPrefix(name, "timestamp."):
		case t.Stamp == nil:
			v.unread++
		default:
			if c := v.stamped(name, data[checkpointOf], text, keys, t); c != nil {
				v.vouched = append(v.vouched, c)
			}
		}
	}
	for _, c := range v.vouched {
		c.good = c.tree.N == 0
	}
	slices.SortStableFunc(v.vouched, func(a, b *vouched) int { return int(min(1, max(-1, a.tree.N-b.tree.N))) })
	return nil
}

// passed compares the tree at its present size with those that others have vouched for.
func (v *dirVerifier) passed() {
	for ; v.next < len(v.vouched) && v.vouched[v.next].tree.N <= v.all.size; v.next++ {
		if c := v.vouched[v.next]; c.tree.N == v.all.size {
			c.good = v.all.tree() == c.tree
		}
	}
}
