package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"sallyport/audit"
	"sallyport/audit/vouch"
)

// recordStatus is what `audit status` says. Sizes are numbers of records, from the first on.
type recordStatus struct {
	Log     string     `json:"log"`
	Records uint64     `json:"records"` // that are there
	Signed  signedPart `json:"signed"`
	Closed  treeHead   `json:"closed_sessions"`
	Keys    []keyUse   `json:"keys"`
	*vouch.Standing
	// Verified is how the log was verified last, by `sallyport verify` on this machine; nil where it was not.
	Verified *vouch.Verification `json:"verified,omitempty"`
}

type treeHead struct {
	Size int64  `json:"size"`
	Root string `json:"root"`
}

type signedPart struct {
	treeHead
	Time time.Time `json:"time"` // of the file, which nobody has signed
}

type keyUse struct {
	From   int64  `json:"from"` // size from which on it signs
	Public string `json:"public"`
}

// readStatus gathers it. The checkpoint is looked at before the records are: these only grow.
func (o *auditOptions) readStatus() (*recordStatus, error) {
	dir, err := o.recordDir(o.data)
	if err != nil {
		return nil, err
	}
	policy, roots, err := o.outside(o.data)
	if err != nil {
		return nil, err
	}
	p, err := audit.OpenProver(dir)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	c, _ := p.Checkpoint()
	closed, err := audit.Closed(c)
	if err != nil {
		return nil, err
	}
	s := &recordStatus{Log: c.Origin, Signed: signedPart{treeHead: treeHead{c.Tree.N, c.Tree.Hash.String()}}, Closed: treeHead{closed.N, closed.Hash.String()}}
	for _, k := range p.Keys().List() {
		s.Keys = append(s.Keys, keyUse{k.From, k.Public})
	}
	info, err := os.Stat(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return nil, err
	}
	s.Signed.Time = info.ModTime().UTC().Truncate(time.Second)
	next, err := audit.Next(dir)
	if err != nil {
		return nil, err
	}
	s.Records = next - 1
	if s.Standing, err = vouch.Read(dir, policy, roots); err != nil {
		return nil, err
	}
	if s.Verified, err = vouch.LastVerification(dir); err != nil {
		s.Problems = append(s.Problems, fmt.Sprintf("how the log was verified last cannot be read: %v", err))
	}
	return s, nil
}

func (o *auditOptions) status(now time.Time) error {
	s, err := o.readStatus()
	if err != nil {
		return err
	}
	if o.json {
		err = json.NewEncoder(o.out).Encode(s)
	} else {
		s.print(o.out, now)
	}
	if err == nil && len(s.Problems) > 0 {
		err = errReported
	}
	return err
}

func (s *recordStatus) print(w io.Writer, now time.Time) {
	s.lines(now, func(key, text string) { fmt.Fprintf(w, "%-17s %s\n", key, text) })
}

// lines calls put with each line of what is printed.
func (s *recordStatus) lines(now time.Time, put func(key, text string)) {
	line := func(key, format string, args ...any) { put(key, fmt.Sprintf(format, args...)) }
	line("log", "%s", s.Log)
	line("records", "%d", s.Records)
	line("signed", "records 1 to %d, %s, root %s", s.Signed.Size, ago(s.Signed.Time, now), s.Signed.Root)
	line("closed sessions", "%d, root %s", s.Closed.Size, s.Closed.Root)
	switch {
	case len(s.Witnesses) == 0:
		line("witnessed", "by nobody: `audit.witnesses` in the configuration names none")
	case s.Quorum == 0:
		line("witnessed", "not by the %d of %d witnesses that are needed", s.Needed, len(s.Witnesses))
	default:
		line("witnessed", "records 1 to %d, by %d of %d witnesses, of whom %d are needed", s.Quorum, s.seen(), len(s.Witnesses), s.Needed)
	}
	for _, wit := range s.Witnesses {
		text := "nothing yet"
		if wit.Size > 0 {
			text = fmt.Sprintf("records 1 to %d, %s", wit.Size, ago(wit.Time, now))
		}
		line("  "+wit.Name, "%s", text)
		if wit.Health != nil {
			line("", "does not cosign since %s: %s", wit.Health.Since.Format(time.RFC3339), wit.Health.Error)
		}
	}
	if s.Stamp != nil {
		line("timestamped", "records 1 to %d, %s, by %s", s.Stamp.Size, ago(s.Stamp.Time, now), s.Stamp.Authority)
	} else {
		line("timestamped", "no")
	}
	if s.Stamping != nil {
		line("", "no authority answers since %s: %s", s.Stamping.Since.Format(time.RFC3339), s.Stamping.Error)
	}
	switch v := s.Verified; {
	case v == nil:
		line("verified", "nothing is known of it: `sallyport verify` of this directory has left nothing")
	case v.Problems > 0:
		line("verified", "%s, with %d problems: `sallyport verify` says which", ago(v.Time, now), v.Problems)
	default:
		line("verified", "records 1 to %d, %s, root %s, nothing wrong", v.Size, ago(v.Time, now), v.Root)
	}
	for i, k := range s.Keys {
		word := "key"
		if i < len(s.Keys)-1 {
			word = "former key"
		}
		line(word, "%s, from record %d on", k.Public, k.From+1)
	}
	for _, p := range s.Problems {
		line(problemKey, "%s", p)
	}
}

// problemKey heads the lines of what is wrong.
const problemKey = "PROBLEM"

// seen is how many witnesses have seen what the quorum has.
func (s *recordStatus) seen() int {
	n := 0
	for _, w := range s.Witnesses {
		if w.Size >= s.Quorum {
			n++
		}
	}
	return n
}

// ago is a time and how long it has passed.
func ago(t, now time.Time) string {
	return fmt.Sprintf("%s (%s ago)", t.UTC().Format(time.RFC3339), now.Sub(t).Round(time.Second))
}
