package main

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"

	"sallyport/audit"
	"sallyport/audit/checkpoint"
	"sallyport/audit/cosignature"
	"sallyport/audit/evidence"
	"sallyport/audit/vouch"
)

// vouchedFor has the proofs of a bundle be against a checkpoint that witnesses have cosigned, if one has all of its records, and
// adds what others have said of it.
func vouchedFor(in *evidence.Input, dir string, p *audit.Prover, policy *cosignature.Policy, roots *x509.CertPool) error {
	s, err := vouch.Read(dir, policy, roots)
	if err != nil {
		return err
	}
	if len(s.Problems) > 0 {
		return fmt.Errorf("what vouches for the record cannot be: %s (`sallyport audit status` says more)", s.Problems[0])
	}
	last := uint64(0)
	for _, rec := range in.Records {
		last = max(last, rec.Position)
	}
	if head, _ := p.Checkpoint(); s.Best != nil {
		best, err := p.Keys().Open(s.Best)
		if err != nil {
			return err
		}
		// A checkpoint that came after the prover was opened is left alone: what the prover has will do.
		if n := uint64(best.Tree.N); n >= last && best.Tree.N <= head.Tree.N {
			if err := p.At(s.Best); err != nil {
				return err
			}
		}
	}
	head, _ := p.Checkpoint()
	if len(s.Witnesses) > 0 {
		own := cosignature.Policy{Quorum: s.Needed}
		for _, w := range s.Witnesses {
			own.Witnesses = append(own.Witnesses, cosignature.PolicyWitness{Name: w.Name, Key: w.Key, URL: w.URL})
		}
		var logs []string
		for _, k := range p.Keys().List() {
			logs = append(logs, k.Public)
		}
		in.Vouched.Policy = own.Format(logs...)
	}
	if list := p.Keys().List(); list[0].Public != in.Public {
		in.Vouched.LogKey = list[0].Public
		if len(list) > 1 {
			if in.Vouched.KeyNotes, err = os.ReadFile(filepath.Join(dir, "signing", checkpoint.NotesFile)); err != nil {
				return err
			}
		}
	}
	st, err := vouch.StampFor(dir, p, last, head.Tree.N)
	if err == nil && st != nil {
		in.Vouched.Stamped, in.Vouched.Token, in.Vouched.Grown = st.Checkpoint, st.Token, st.Grown
	}
	return err
}
