package web

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

const (
	mostCaseBytes = 64 << 10
	judgeTime     = 20 * time.Second // for all cases together: well below WriteTimeout
)

// policyData fills the page of the policies.
type policyData struct {
	Files   []gateway.PolicyFile
	Version string

	Compared bool // the files on disk were looked at
	Changes  []fileChange
	Unsound  *trouble // why a reload would take nothing

	Judges               bool // cases can be judged here
	Cases                string
	OnDisk               bool // by the files on disk
	Scratch              bool // which judge cases with sql too
	Most                 int  // bytes of cases
	Results              []CaseResult
	Passed, Failed, Left int
	Refused              *trouble // why none was judged
}

// trouble is an error in a part of a page, in words for who asked.
type trouble struct{ Text, Hint string }

// fileChange is how a file on disk differs from what is in force.
type fileChange struct {
	Name  string
	Note  string // what is to be said about the file as a whole
	Lines []diffLine
}

// diffLine is a line of a unified diff with its sign. Kind is "+", "-", "@" for where a part begins, or "" for what both have.
type diffLine struct{ Kind, Text string }

func (v *visit) policy() error {
	if !v.watches() {
		return errNotFound
	}
	return v.showPolicy(&policyData{})
}

// testPolicy judges cases. It changes nothing; a POST keeps them out of addresses, and others' pages from having it work.
func (v *visit) testPolicy() error {
	if !v.watches() || v.s.opt.Archive == nil || v.s.opt.Archive.Judge == nil {
		return errNotFound
	}
	f := v.r.PostForm
	d := &policyData{Cases: strings.ReplaceAll(f.Get("cases"), "\r\n", "\n"), OnDisk: f.Get("against") == "disk"}
	switch {
	case len(d.Cases) > mostCaseBytes:
		d.Refused = &trouble{fmt.Sprintf("the cases have %d bytes: at most %d are judged at a time", len(d.Cases), mostCaseBytes), "`sallyport policy test` takes files of any length"}
		d.Cases = ""
	case strings.TrimSpace(d.Cases) == "":
		d.Refused = &trouble{"there are no cases", "docs/policy.md has an example"}
	default:
		ctx, stop := context.WithTimeout(v.r.Context(), judgeTime)
		defer stop()
		var err error
		if d.Results, err = v.s.opt.Archive.Judge(ctx, d.Cases, Judging{OnDisk: d.OnDisk, Scratch: d.OnDisk && v.operator}); err != nil {
			d.Refused = v.said("cases not judged", err)
		}
	}
	for _, r := range d.Results {
		switch {
		case r.Left != "":
			d.Left++
		case len(r.Differs) > 0:
			d.Failed++
		default:
			d.Passed++
		}
	}
	return v.showPolicy(d)
}

func (v *visit) showPolicy(d *policyData) error {
	d.Files, d.Version = v.s.core.Policies()
	d.Most, d.Scratch = mostCaseBytes, v.operator
	if a := v.s.opt.Archive; a != nil {
		d.Judges = a.Judge != nil
		if a.OnDisk != nil {
			d.Compared = true
			disk, err := a.OnDisk(v.r.Context())
			if err != nil {
				d.Unsound = v.said("policy files not read", err)
			}
			if err == nil || disk != nil {
				d.Changes = changes(d.Files, disk)
			}
		}
	}
	return v.show("policy", "Policies", "policy", d)
}

// said is an error as the page says it. The cause of one that is the gateway's own goes to the operator's log.
func (v *visit) said(what string, err error) *trouble {
	e := access.AsError(err)
	if e.Err != nil {
		v.s.log.Error(what, "door", "web", "error", err)
	}
	return &trouble{e.Message, e.Hint}
}

// changes compares the files in force with those on disk, by name. A file that is the same is left out.
func changes(force, disk []gateway.PolicyFile) []fileChange {
	byName := func(files []gateway.PolicyFile) map[string]string {
		m := map[string]string{}
		for _, f := range files {
			m[f.Name] = f.Text
		}
		return m
	}
	old, now := byName(force), byName(disk)
	all := maps.Clone(old)
	maps.Copy(all, now)
	var out []fileChange
	for _, name := range slices.Sorted(maps.Keys(all)) {
		before, was := old[name]
		after, is := now[name]
		if was && is && before == after {
			continue
		}
		c := fileChange{Name: name, Lines: unified(before, after)}
		switch {
		case !was:
			c.Note = "none of this file is in force"
		case !is:
			c.Note = "the file is not there any more, or the configuration does not name it"
		}
		out = append(out, c)
	}
	return out
}

// unified is the difference between two texts in lines with three of what surrounds them; nil where there is none.
func unified(before, after string) []diffLine {
	text := diff.Diff("force", []byte(before), "disk", []byte(after))
	var out []diffLine
	for i, line := range bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n")) {
		if i < 3 {
			continue // the names, which the page's heading says
		}
		l := diffLine{Text: string(line)}
		if len(line) > 0 && bytes.IndexByte([]byte("+-@"), line[0]) >= 0 {
			l.Kind = string(line[:1])
		}
		out = append(out, l)
	}
	return out
}
