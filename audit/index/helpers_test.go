package index

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
)

// testLog is a log with its index.
type testLog struct {
	t     *testing.T
	data  string
	dir   string
	log   *audit.Log
	rng   *rand.Rand
	index *Index
}

func newLog(t *testing.T) *testLog {
	l := &testLog{t: t, data: t.TempDir(), rng: rand.New(rand.NewPCG(1, 2))}
	l.dir = filepath.Join(l.data, "log")
	l.open()
	t.Cleanup(l.close)
	l.index = New(l.dir, filepath.Join(l.data, "index"), nil)
	return l
}

func (l *testLog) open() {
	l.t.Helper()
	var err error
	if l.log, err = audit.Open(l.dir, audit.Options{SegmentSize: 256 << 10}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *testLog) close() {
	if l.log != nil {
		l.log.Close()
	}
	l.log = nil
}

func (l *testLog) add(recs ...*access.Record) {
	l.t.Helper()
	var last audit.Ticket
	for _, rec := range recs {
		if rec.Time.IsZero() {
			rec.Time = moment(int(l.log.Last()))
		}
		if rec.Kind == "" {
			rec.Kind = access.RecordStatement
		}
		if rec.Session == "" {
			rec.Session = "s_1"
		}
		var err error
		if last, err = l.log.Enqueue(rec); err != nil {
			l.t.Fatal(err)
		}
	}
	if err := last.Wait(); err != nil {
		l.t.Fatal(err)
	}
}

// moment is when the record after another was recorded: a second later.
func moment(i int) time.Time { return time.Unix(1_800_000_000+int64(i), 0).UTC() }

// fill adds records of many kinds.
func (l *testLog) fill(n int) {
	recs := make([]*access.Record, n)
	for i := range recs {
		recs[i] = anyRecord(l.rng, int(l.log.Last())+i)
	}
	l.add(recs...)
}

var vocabulary = []string{"orders", "customers", "refund", "ticket", "naïve", "日本語", "due_date", "42", "jane@example.com", "späte", "a.b.c"}

func anyRecord(r *rand.Rand, i int) *access.Record {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	rec := &access.Record{
		// Clocks are set back now and then.
		Time: moment(i).Add(-time.Duration(r.IntN(3)) * time.Second), Session: fmt.Sprintf("s_%d", i/20),
		Kind:      access.RecordKind(pick("statement", "task", "refused", "outcome")),
		Principal: pick("ada", "bob", "support-agent"), Actor: pick("", "", "helper"), Connection: pick("shop", "shop", "crm"), Door: access.DoorPGWire,
	}
	if r.IntN(4) == 0 {
		rec.Task = fmt.Sprintf("task_%d", i/100)
	}
	if rec.Kind != access.RecordOutcome {
		rec.SQL = "SELECT " + pick(vocabulary...) + ", " + pick(vocabulary...) + " FROM " + pick("orders", "customers")
		plan := access.PlanRecord{Effect: pick("allow", "allow", "deny", "review"), Fingerprint: pick("f1", "f2", "f3"), Relations: []string{"public." + pick("orders", "customers")}}
		if r.IntN(3) == 0 {
			plan.Labels = []access.Label{"pii.email"}
			plan.Masks = []access.MaskApplied{{Column: "public.customers.email", Label: "pii.email", Transform: "redact"}}
		}
		rec.Plan, _ = json.Marshal(plan)
	}
	if r.IntN(3) == 0 {
		rec.Reason = pick(vocabulary...) + " for " + pick(vocabulary...)
	}
	if r.IntN(5) == 0 {
		rec.Params = []string{pick(vocabulary...)}
	}
	return rec
}

func anyQuery(r *rand.Rand, last int) Query {
	q := Query{Limit: 1 + r.IntN(40)}
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	for range r.IntN(4) {
		switch r.IntN(9) {
		case 0:
			q.Fields = append(q.Fields, Value{Principal, pick("ada", "bob", "nobody")})
		case 1:
			q.Fields = append(q.Fields, Value{Connection, pick("shop", "crm")})
		case 2:
			q.Fields = append(q.Fields, Value{Relation, pick("orders", "public.customers", "public.nothing")})
		case 3:
			q.Fields = append(q.Fields, Value{Decision, pick("allow", "deny", "review")})
		case 4:
			q.Fields = append(q.Fields, Value{Column, pick("email", "customers.email", "public.customers.email")})
		case 5:
			q.Fields = append(q.Fields, Value{Session, fmt.Sprintf("s_%d", r.IntN(last/20+1))})
		case 6:
			q.Words = append(q.Words, pick(append(vocabulary, "select", "due", "本", "selec")...))
		case 7:
			q.Person = append(q.Person, pick("jane@example.com", "JANE", "example", "xane"))
		case 8:
			q.Since = moment(r.IntN(last))
			if r.IntN(2) == 0 {
				q.Until = q.Since.Add(time.Duration(r.IntN(last/3+1)) * time.Second)
			}
		}
	}
	return q
}

// all reads the whole log.
func (l *testLog) all() []*access.Record {
	l.t.Helper()
	var out []*access.Record
	if err := audit.Read(l.dir, func(rec *access.Record) error { out = append(out, rec); return nil }); err != nil {
		l.t.Fatal(err)
	}
	return out
}

// most is how much of what is found is compared.
const most = 150

// naive is what a query must find, the newest first.
func naive(all []*access.Record, q Query) []uint64 {
	var out []uint64
	q.tags = make([][]string, len(q.Person)) // nothing was taken out of these records
	for _, rec := range slices.Backward(all) {
		if q.match(rec) && (q.Before == 0 || rec.Position < q.Before) {
			if out = append(out, rec.Position); len(out) == most {
				break
			}
		}
	}
	return out
}

// pages is what a query finds, page by page, as far as most.
func (l *testLog) pages(q Query) []uint64 {
	l.t.Helper()
	var out []uint64
	for {
		page, err := l.index.Search(context.Background(), q)
		if err != nil {
			l.t.Fatalf("%+v: %v", q, err)
		}
		for _, rec := range page.Records {
			out = append(out, rec.Position)
		}
		if page.Next == 0 || len(out) >= most {
			return out[:min(most, len(out))]
		}
		if n := len(page.Records); n != q.Limit && !page.Stopped || n > 0 && q.Before != 0 && page.Records[0].Position >= q.Before {
			l.t.Fatalf("%+v: a page of %d that begins with %d", q, n, page.Records[0].Position)
		}
		q.Before = page.Next
	}
}

func (l *testLog) update() Report {
	l.t.Helper()
	r, err := l.index.Update(context.Background(), nil)
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

// agrees compares many searches with the log.
func (l *testLog) agrees(queries int) {
	l.t.Helper()
	all := l.all()
	found := 0
	for range queries {
		q := anyQuery(l.rng, len(all))
		if l.rng.IntN(2) == 0 {
			q.Before = 1 + l.rng.Uint64N(uint64(len(all)))
		}
		want, got := naive(all, q), l.pages(q)
		found += len(got)
		if !slices.Equal(got, want) {
			l.t.Fatalf("%+v\nfinds %d, want %d\n%v\n%v", q, len(got), len(want), head(got), head(want))
		}
	}
	if found == 0 {
		l.t.Fatal("nothing was found at all")
	}
	if err := l.index.Check(context.Background()); err != nil {
		l.t.Fatal(err)
	}
}

func head(list []uint64) []uint64 { return list[:min(20, len(list))] }
