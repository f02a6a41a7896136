package verify

import (
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// window is how many records from the first wrong one on are looked at to say what was done.
const window = 1 << 16

// places compares each record with the leaf that was signed in its place, where the file of the tree tells.
type places struct {
	file  *hashFile
	at    int64       // records so far
	first int64       // the first that is not what was signed there, from 0; -1 is none
	found []tlog.Hash // from there on
}

func (p *places) record(leaf tlog.Hash, differs bool) {
	if p.first < 0 && differs {
		p.first = p.at
	}
	if p.first >= 0 && len(p.found) < window {
		p.found = append(p.found, leaf)
	}
	p.at++
}

// explain says what was done to the records: the first thing, which those after it may only follow from.
func (p *places) explain(r *Report) {
	if !p.file.good {
		return
	}
	i, n := p.first, p.file.signed.N
	switch {
	case i < 0 && p.at < n:
		r.problem("%s missing: the end was cut off, or an old copy put back", span(p.at+1, n))
		return
	case i < 0 || i >= n:
		return
	}
	expected, there := p.file.leafAt(i), p.file.find(p.found[0])
	later := int64(slices.Index(p.found, expected)) // how far behind its place the record is; -1 is nowhere
	switch {
	case there >= 0 && there < i:
		r.problem("record %d is there twice: a second copy stands in the place of record %d", there+1, i+1)
	case there > i && later == there-i:
		r.problem("records %d and %d stand in each other's place", i+1, there+1)
	case there > i && later > 0:
		r.problem("records from %d on are not in order: record %d stands in the place of record %d, which comes %d later", i+1, there+1, i+1, later)
	case there > i:
		r.problem("%s missing: record %d stands in the place of record %d", span(i+1, there), there+1, i+1)
	case later == 1:
		r.problem("a record that was never signed stands before record %d", i+1)
	default:
		r.problem("record %d was changed: what stands there was never signed", i+1)
	}
}

func span(from, to int64) string {
	if from == to {
		return fmt.Sprintf("record %d is", from)
	}
	return fmt.Sprintf("records %d to %d are", from, to)
}
