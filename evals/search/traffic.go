package search

import (
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"time"

	"sallyport/internal/access"
)

// traffic is records as a gateway of some size makes them: 300 principals of whom few do most, sessions of 20
// statements, 2,000 plans over 60 relations, a reason with every third statement, one refusal in 50.
type traffic struct {
	plans   []plan
	words   []string
	people  *rand.Zipf
	shapes  *rand.Zipf
	common  *rand.Zipf
	rng     *rand.Rand
	records int
}

type plan struct {
	text      json.RawMessage
	sql       string // with a place for a number
	refused   bool
	relations []string
}

const (
	principals = 300
	shapes     = 2000
	relations  = 60
	reasonOf   = 6 // words
	rareOne    = 250_000
	start      = 1_800_000_000
)

func newTraffic(records int, seed uint64) *traffic {
	t := &traffic{rng: rand.New(rand.NewPCG(seed, 0)), records: records}
	t.people = rand.NewZipf(t.rng, 1.3, 4, principals-1)
	t.shapes = rand.NewZipf(t.rng, 1.2, 8, shapes-1)
	for i := range 5000 {
		t.words = append(t.words, fmt.Sprintf("word%c%c%d", 'a'+i%26, 'a'+i/26%26, i))
	}
	t.common = rand.NewZipf(t.rng, 1.1, 10, uint64(len(t.words)-1))
	for i := range shapes {
		p := plan{refused: i%50 == 7, relations: []string{t.relation(i), t.relation(i * 7)}}
		rec := access.PlanRecord{Class: access.ClassRead, Tag: "SELECT", Fingerprint: fmt.Sprintf("%016x", i*2654435761), Relations: p.relations, Effect: "allow",
			Policies: []string{"read"}, PolicyVersion: "3f1c", CatalogVersion: "77"}
		if p.refused {
			rec.Effect = "deny"
		}
		if i%3 == 0 {
			rec.Labels = []access.Label{"pii.email"}
			rec.Masks = []access.MaskApplied{{Column: p.relations[0] + ".email", Label: "pii.email", Transform: "redact"}}
		}
		p.text, _ = json.Marshal(rec)
		p.sql = fmt.Sprintf("SELECT a.id, a.col%d, b.email FROM %s a JOIN %s b ON b.id = a.ref%d WHERE a.id = %%d AND a.state = 'open'", i%40, p.relations[0], p.relations[1], i%9)
		t.plans = append(t.plans, p)
	}
	return t
}

func (t *traffic) relation(i int) string { return fmt.Sprintf("public.table_%d", i%relations) }

// all gives the records; each is valid until the next.
func (t *traffic) all() iter.Seq[*access.Record] {
	return func(yield func(*access.Record) bool) {
		rec := new(access.Record)
		for i := range t.records {
			*rec = t.record(i)
			if !yield(rec) {
				return
			}
		}
	}
}

func (t *traffic) record(i int) access.Record {
	who := i / 20 // of a session
	session := rand.New(rand.NewPCG(uint64(who), 1))
	p := &t.plans[t.shapes.Uint64()]
	rec := access.Record{Session: fmt.Sprintf("s_%016x", session.Uint64()), Seq: uint64(i%20 + 1), Time: time.Unix(start, int64(i)*10_000_000), Kind: access.RecordStatement,
		Door: access.DoorPGWire, Connection: fmt.Sprintf("db%d", who%6), Principal: fmt.Sprintf("principal%d", zipfOf(session)), Client: "10.0.0.7 psql",
		Plan: p.text, SQL: fmt.Sprintf(p.sql, t.rng.IntN(2_000_000)), Rows: int64(i % 50)}
	if p.refused {
		rec.Kind, rec.Error = access.RecordRefused, "permission denied for "+p.relations[0]
	}
	if who%3 == 0 {
		rec.Actor, rec.Door, rec.Task = "agent"+fmt.Sprint(who%9), access.DoorMCP, fmt.Sprintf("task_%x", who/5)
	}
	if i%3 == 0 {
		words := make([]string, reasonOf)
		for k := range words {
			words[k] = t.words[t.common.Uint64()]
		}
		rec.Reason = strings.Join(words, " ")
	}
	if i%rareOne == rareOne/2 {
		rec.Principal, rec.Reason = "rare", "the needle"
	}
	// Two things that every second record has, never the same record: the worst for an intersection.
	if i%2 == 0 {
		rec.Ticket = "even"
	} else {
		rec.Ticket = "odd"
	}
	return rec
}

// zipfOf is a principal's number: few have most sessions.
func zipfOf(r *rand.Rand) int {
	u := r.Float64()
	return int(principals * u * u * u)
}
