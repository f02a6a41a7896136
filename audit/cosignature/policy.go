package cosignature

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Policy says which witnesses count and how many of them are enough, in the form of C2SP tlog-policy (which Sigsum,
// Tessera and torchwood read too), with one group at most:
//
//	log gate.example/log+1a2b3c4d+AaBb...
//	witness w1 w1.example+5e6f7a8b+BAcC... https://w1.example
//	witness w2 w2.example+9a8b7c6d+BDdD... https://w2.example
//	group enough 2 w1 w2
//	quorum enough
type Policy struct {
	Witnesses []PolicyWitness
	Quorum    int // how many of them are enough; 0 where none is needed
}

// PolicyWitness is one witness.
type PolicyWitness struct {
	Name string // within the policy; the key has a name of its own
	Key  string // public, see NewVerifier
	URL  string // submission prefix; may be empty
}

const (
	groupName    = "enough"
	mostWitness  = 64
	policyFields = 4
)

// Check says what is wrong with a policy.
func (p Policy) Check() error {
	if p.Quorum < 0 || p.Quorum > len(p.Witnesses) {
		return fmt.Errorf("a quorum of %d cannot be reached with %d witnesses", p.Quorum, len(p.Witnesses))
	}
	if len(p.Witnesses) > mostWitness {
		return fmt.Errorf("%d witnesses are more than %d", len(p.Witnesses), mostWitness)
	}
	var seen []note.Verifier
	for i, w := range p.Witnesses {
		v, err := NewVerifier(w.Key)
		switch {
		case err != nil:
			return fmt.Errorf("the key of witness %q: %w", w.Name, err)
		case w.Name == "" || w.Name == groupName || w.Name == "none" || strings.ContainsAny(w.Name, " \t\r\n#"):
			return fmt.Errorf("%q cannot name a witness", w.Name)
		case slices.ContainsFunc(p.Witnesses[:i], func(o PolicyWitness) bool { return o.Name == w.Name }):
			return fmt.Errorf("two witnesses are called %q", w.Name)
		case slices.ContainsFunc(seen, func(o note.Verifier) bool { return o.KeyHash() == v.KeyHash() }):
			return fmt.Errorf("the key of witness %q is there twice: one witness counts once", w.Name)
		case strings.ContainsAny(w.URL, " \t\r\n#"):
			return fmt.Errorf("the address of witness %q cannot be written into a policy", w.Name)
		}
		seen = append(seen, v)
	}
	return nil
}

// Verifiers are those of the witnesses, in their order. The policy must have passed Check.
func (p Policy) Verifiers() []note.Verifier {
	var all []note.Verifier
	for _, w := range p.Witnesses {
		if v, err := NewVerifier(w.Key); err == nil {
			all = append(all, v)
		}
	}
	return all
}

// Format writes the policy for a log with these public keys.
func (p Policy) Format(logs ...string) []byte {
	var b strings.Builder
	for _, l := range logs {
		b.WriteString("log " + l + "\n")
	}
	var names []string
	for _, w := range p.Witnesses {
		b.WriteString(strings.TrimSpace("witness "+w.Name+" "+w.Key+" "+w.URL) + "\n")
		names = append(names, w.Name)
	}
	if p.Quorum == 0 {
		return []byte(b.String() + "quorum none\n")
	}
	fmt.Fprintf(&b, "group %s %d %s\nquorum %s\n", groupName, p.Quorum, strings.Join(names, " "), groupName)
	return []byte(b.String())
}

// ParsePolicy reads a policy. Lines about logs are not looked at; more than one group, or a group of groups, is an error,
// for what it asks for would be more than a number.
func ParsePolicy(text []byte) (Policy, error) {
	var p Policy
	var group []string
	quorum := ""
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		switch {
		case f[0] == "log" && len(f) >= 2:
		case f[0] == "witness" && (len(f) == policyFields-1 || len(f) == policyFields):
			p.Witnesses = append(p.Witnesses, PolicyWitness{Name: f[1], Key: f[2], URL: strings.Join(f[3:], "")})
		case f[0] == "group" && len(f) >= policyFields && group == nil:
			group = f[1:]
		case f[0] == "quorum" && len(f) == 2 && quorum == "":
			quorum = f[1]
		default:
			return Policy{}, fmt.Errorf("line %d of the policy: not a log, a witness, the only group or the quorum (C2SP tlog-policy)", n)
		}
	}
	if err := p.quorum(quorum, group); err != nil {
		return Policy{}, err
	}
	return p, p.Check()
}

// quorum finds the number that a policy asks for. A group that leaves witnesses out leaves them out of the policy.
func (p *Policy) quorum(name string, group []string) error {
	one := slices.IndexFunc(p.Witnesses, func(w PolicyWitness) bool { return w.Name == name })
	switch {
	case name == "none":
		p.Quorum = 0
	case one >= 0:
		p.Witnesses, p.Quorum = p.Witnesses[one:one+1], 1
	case len(group) > 0 && group[0] == name:
		members := group[2:]
		for _, m := range members {
			if !slices.ContainsFunc(p.Witnesses, func(w PolicyWitness) bool { return w.Name == m }) {
				return fmt.Errorf("the group of the policy has %q, which is no witness before it", m)
			}
		}
		p.Witnesses = slices.DeleteFunc(p.Witnesses, func(w PolicyWitness) bool { return !slices.Contains(members, w.Name) })
		switch group[1] {
		case "any":
			p.Quorum = 1
		case "all":
			p.Quorum = len(p.Witnesses)
		default:
			n, err := strconv.Atoi(group[1])
			if err != nil || n < 1 {
				return fmt.Errorf("the group of the policy asks for %q witnesses", group[1])
			}
			p.Quorum = n
		}
	default:
		return errors.New("the policy has no quorum that names its group, a witness or none")
	}
	return nil
}
