package index

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"sallyport/audit"
	"sallyport/audit/evidence"
	"sallyport/audit/report"
	"sallyport/internal/access"
)

// days adds sessions of a dozen principals, each with a task, an intent and its outcome, and requests for approval whose steps
// are in the gateway's own session.
func (l *testLog) days(from, n int) {
	seq, own := map[string]uint64{}, uint64(1000*from)
	var recs []*access.Record
	base := l.log.Last()
	pos := func() uint64 { return base + uint64(len(recs)) }
	add := func(session string, rec access.Record) uint64 {
		if rec.Session = session; session == "sys_1" {
			own++
			rec.Seq = own
		} else if session != "" {
			seq[session]++
			rec.Seq = seq[session]
		}
		rec.Time = moment(int(pos()))
		recs = append(recs, &rec)
		return pos()
	}
	for i := from; i < from+n; i++ {
		session, task, request, who := fmt.Sprintf("pg_%d", i), fmt.Sprintf("task_%d", i%40), fmt.Sprintf("rq_%d", i), fmt.Sprintf("p%d", i%12)
		plan := raw(l.t, access.PlanRecord{Effect: "review", Relations: []string{"read public.orders"}, Masks: []access.MaskApplied{{Column: "public.orders.mail", Label: "pii.email", Transform: "redact"}}})
		if i < 40 {
			add("", access.Record{Kind: access.RecordTask, Principal: who, Task: task, Goal: "a goal"})
		}
		add(session, access.Record{Kind: access.RecordOpen, Principal: who, Connection: "shop", Door: access.DoorPGWire})
		add("sys_1", access.Record{Kind: access.RecordReview, Principal: who, Approval: request, Review: raw(l.t, access.ReviewStep{Session: session, To: "pending"})})
		add(session, access.Record{Kind: access.RecordStatement, Principal: who, Connection: "shop", Door: access.DoorPGWire, Task: task, SQL: "select 1", Rows: 2, Plan: plan, Command: "SELECT 2"})
		add("sys_1", access.Record{Kind: access.RecordReview, Principal: who, Approval: request, Review: raw(l.t, access.ReviewStep{From: "pending", To: "claimed", Use: true})})
		in := add(session, access.Record{Kind: access.RecordIntent, Principal: who, Connection: "shop", Door: access.DoorPGWire, Task: task, Approval: request, SQL: "update orders", Plan: plan})
		add(session, access.Record{Kind: access.RecordOutcome, Principal: who, Connection: "shop", Door: access.DoorPGWire, Task: task, Intent: in, Command: "UPDATE 1"})
		add("sys_1", access.Record{Kind: access.RecordReview, Principal: who, Approval: request, Review: raw(l.t, access.ReviewStep{From: "claimed", To: "executed"})})
		if i%3 > 0 {
			add(session, access.Record{Kind: access.RecordClose, Principal: who, Connection: "shop", Door: access.DoorPGWire, Rows: int64(seq[session] + 1)})
		}
	}
	l.add(recs...)
}

// same compares what is made of the whole log and of what the index says belongs to it, and gives how often that was less.
func (l *testLog) same() (fewer int) {
	l.t.Helper()
	ctx := context.Background()
	total := len(l.all())
	text := func(v any, err error) string {
		b, jerr := json.Marshal(v)
		if jerr != nil {
			l.t.Fatal(jerr)
		}
		return fmt.Sprint(string(b), err)
	}
	whole := audit.Whole(l.dir)
	for _, f := range []audit.Filter{
		{Session: "pg_7"}, {Session: "pg_70"}, {Session: "pg_71"}, {Session: "nobody"}, {Task: "task_3"}, {Task: "task_17", Last: 3}, {Principal: "p3"}, {Principal: "p5", Task: "task_17"}, {Principal: "p11", Refused: true},
		{Principal: "p3", Since: moment(200), Until: moment(400)}, {Task: "task_3", Since: moment(100)}, {Session: "pg_30", Until: moment(270)}, {Principal: "p9", Last: 5},
	} {
		var fields []Value
		for _, v := range []Value{{Session, f.Session}, {Task, f.Task}, {Principal, f.Principal}} {
			if v.Value != "" {
				fields = append(fields, v)
			}
		}
		from, err := l.index.Among(ctx, Query{Fields: fields, Since: f.Since, Until: f.Until}, false)
		if err != nil {
			l.t.Fatal(err)
		}
		q := Query{Fields: fields, Since: f.Since, Until: f.Until}
		if f.Principal != "" {
			q.Since, q.Until = time.Time{}, time.Time{}
		}
		wide, err := l.index.Among(ctx, q, true)
		if err != nil {
			l.t.Fatal(err)
		}
		n := 0
		if err := from(func(*access.Record) error { n++; return nil }); err != nil {
			l.t.Fatal(err)
		}
		if n < total/2 {
			fewer++
		}
		a, aerr := audit.Collect(whole, f)
		b, berr := audit.Collect(from, f)
		if diff := cmp.Diff(text(a, aerr), text(b, berr)); diff != "" {
			l.t.Errorf("trace %+v (-whole +index): %s", f, diff)
		}
		if len(fields) > 1 {
			continue
		}
		s := evidence.Scope{Session: f.Session, Task: f.Task, Principal: f.Principal, From: f.Since, To: f.Until}
		a, aerr = evidence.Collect(whole, s)
		b, berr = evidence.Collect(wide, s)
		if diff := cmp.Diff(text(a, aerr), text(b, berr)); diff != "" {
			l.t.Errorf("evidence %+v (-whole +index): %s", s, diff)
		}
		if f.Principal != "" {
			o := report.Options{Dir: l.dir, From: f.Since, To: f.Until}
			r, rerr := report.Breach(o, f.Principal)
			o.Source = from
			if diff := cmp.Diff(text(r, rerr), text(report.Breach(o, f.Principal))); diff != "" {
				l.t.Errorf("breach %s (-whole +index): %s", f.Principal, diff)
			}
		}
	}
	return fewer
}

func TestWhatTheIndexPicksIsWhatTheLogHas(t *testing.T) {
	l := newLog(t)
	l.days(0, 70)
	l.update()
	if n := l.same(); n < 12 {
		t.Errorf("only %d of 13 read less than half of the log", n)
	}
	l.days(70, 5) // that the index does not know yet
	l.same()
	l.erase(audit.Erasure{Session: "pg_3", Trace: true})
	l.erase(audit.Erasure{Task: "task_17", Trace: true})
	l.same()
	l.update()
	l.same()
}

func TestAnIndexWithEntriesMissingIsNotReliedOn(t *testing.T) {
	l := newLog(t)
	l.days(0, 40)
	l.update()
	q := Query{Fields: []Value{{Session, "pg_7"}}}
	if _, err := l.index.Among(context.Background(), q, false); err != nil {
		t.Fatal(err)
	}
	err := l.index.writing(context.Background(), func(db *bbolt.DB) error {
		return db.Update(func(tx *bbolt.Tx) error {
			key, err := readKey(l.index.dir)
			if err != nil {
				return err
			}
			return tx.Bucket(termBucket).Delete(termKey(nil, 0, newHasher(key).value(Session, "pg_7")))
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.index.Among(context.Background(), q, false); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "missing") {
		t.Errorf("%v", err)
	}
	none := New(l.dir, t.TempDir(), nil)
	if _, err := none.Among(context.Background(), q, false); !errors.Is(err, ErrNone) {
		t.Errorf("without an index: %v", err)
	}
}
