package audit

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/access"
)

// withLog opens the log in dir for f.
func withLog(t *testing.T, dir string, f func(l *Log)) {
	t.Helper()
	l := openLog(t, dir, Options{SegmentSize: smallSize})
	f(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// silent fails where a byte of the directory speaks of a canary, raw, in base64 or in hex.
func silent(t *testing.T, dir, canary string) {
	t.Helper()
	var forms [][]byte
	for shift := range 3 { // base64 of what stands at any place of a text
		b := []byte(base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + canary)))
		forms = append(forms, bytes.ToLower(b[4:len(b)-4]))
	}
	forms = append(forms, []byte(canary), []byte(hex.EncodeToString([]byte(canary))))
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, form := range forms {
			if bytes.Contains(bytes.ToLower(data), form) {
				t.Errorf("%s speaks of %s", path, canary)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func soundLog(t *testing.T, dir string) {
	t.Helper()
	if r, err := Check(dir); err != nil || !r.Sound() {
		t.Errorf("%+v, %v", r, err)
	}
}

// An erasure is proposed by one and carried out by another; it is bound to what was there when it was proposed, and
// the proposal, which names the person, goes with it.
func TestProposalsAreConfirmedByOthers(t *testing.T) {
	dir := people(t)
	var id string
	withLog(t, dir, func(l *Log) {
		p, found, err := l.Propose(Erasure{Person: "person3@example.org"}, "ada", "request 7")
		if err != nil || found.Records != 20 || p.Records != 20 || p.Digest == "" {
			t.Fatalf("%+v, %+v, %v", p, found, err)
		}
		id = p.ID
		if _, err := l.Append(&access.Record{Time: time.Now(), Kind: access.RecordRefused, SQL: "select 'person3@example.org'"}); err != nil {
			t.Fatal(err)
		}
		_, _, err = l.Confirm(id, "ada", false)
		wantError(t, err, access.Denied, "42501")
		_, _, err = l.Confirm("e_none", "bob", false)
		wantError(t, err, access.Invalid, "42704")
	})
	for _, rec := range readAll(t, dir) {
		if rec.Erased {
			t.Fatal("a proposal has erased something")
		}
	}
	if list, err := Proposals(dir, time.Now()); err != nil || len(list) != 1 || list[0].Scope.Person != "person3@example.org" || list[0].By != "ada" {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := Proposals(dir, time.Now().Add(25*time.Hour)); err != nil || len(list) != 0 {
		t.Errorf("a day later: %+v, %v", list, err)
	}
	withLog(t, dir, func(l *Log) {
		p, out, err := l.Confirm(id, "bob", false)
		if err != nil || out.Records != 21 || out.Missed != 0 || out.More != 1 || p.By != "ada" || out.Position != 123 {
			t.Fatalf("%+v, %+v, %v", p, out, err)
		}
		_, _, err = l.Confirm(id, "bob", false)
		wantError(t, err, access.Denied, "42501")
	})
	recs := readAll(t, dir)
	last := recs[len(recs)-1]
	var o access.Order
	if err := json.Unmarshal(last.Order, &o); err != nil || last.Kind != access.RecordErased || last.Principal != "bob" || last.Reason != "request 7" ||
		o.By != "ada" || o.Proposal != 121 || o.ID != id || o.Records != 21 || len(o.Person) != 64 {
		t.Errorf("%+v %s %v", last, last.Order, err)
	}
	if prop := recs[120]; !prop.Erased || len(prop.Scope) != 0 || prop.Principal != "ada" {
		t.Errorf("%+v", prop)
	}
	if rec := recs[121]; rec.Erased {
		t.Error("what came after the proposal was erased")
	}
	soundLog(t, dir)
	wantErasure(t, dir, Erasure{Person: "person3@example.org"}, false)
	silent(t, dir, "person3@example.org")
}

func TestProposalsExpire(t *testing.T) {
	now := time.Now()
	o := &order{Record: &access.Record{Kind: access.RecordProposal, Time: now.Add(-23 * time.Hour)}, Order: access.Order{ID: "e"}}
	if err := confirmable([]*order{o}, "e", now); err != nil {
		t.Error(err)
	}
	o.Time = now.Add(-25 * time.Hour)
	wantError(t, confirmable([]*order{o}, "e", now), access.Denied, "42501")
	o.Time = now.Add(time.Hour) // a clock that was moved does not make it live longer
	wantError(t, confirmable([]*order{o}, "e", now), access.Denied, "42501")
}

// What is held is erased by nobody, until the hold is lifted.
func TestHoldsKeepRecords(t *testing.T) {
	dir := people(t)
	var hold *Hold
	withLog(t, dir, func(l *Log) {
		var err error
		if hold, err = l.Hold(access.Scope{Person: "person3@example.org", Session: "s1"}, "counsel", "case 4"); err != nil {
			t.Fatal(err)
		}
		_, err = l.Hold(access.Scope{}, "counsel", "everything")
		wantError(t, err, access.Invalid, "22023")
	})
	if err := os.Remove(filepath.Join(dir, ordersName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if list, err := Holds(dir); err != nil || len(list) != 1 || list[0].Scope != hold.Scope || list[0].By != "counsel" || list[0].Why != "case 4" {
		t.Fatalf("%+v, %v", list, err)
	}
	if out := wantErasure(t, dir, Erasure{Person: "person3@example.org"}, false); out.Records != 10 || len(out.Held) != 1 || out.Held[0] != (access.Held{Hold: hold.ID, Records: 11}) {
		t.Fatalf("%+v", out) // the hold's own record is the eleventh
	}
	if out := wantErasure(t, dir, Erasure{Before: time.Now().Add(time.Hour), Trace: true}, false); out.Records != 110 || out.Held[0].Records != 11 {
		t.Fatalf("%+v", out)
	}
	if list, err := Holds(dir); err != nil || len(list) != 1 || list[0].Scope != hold.Scope {
		t.Fatalf("the hold has gone with what it does not hold: %+v, %v", list, err)
	}
	withLog(t, dir, func(l *Log) {
		_, err := l.Lift("h_none", "counsel", "x")
		wantError(t, err, access.Invalid, "42704")
		if _, err := l.Lift(hold.ID, "counsel", "settled"); err != nil {
			t.Fatal(err)
		}
		_, err = l.Lift(hold.ID, "counsel", "settled")
		wantError(t, err, access.Invalid, "42704")
	})
	if list, err := Holds(dir); err != nil || len(list) != 0 {
		t.Fatalf("%+v, %v", list, err)
	}
	if out := wantErasure(t, dir, Erasure{Person: "person3@example.org"}, false); out.Records != 11 || len(out.Held) != 0 {
		t.Fatalf("%+v", out)
	}
	silent(t, dir, "person3@example.org")
	soundLog(t, dir)
}

// Classes go when their time has come, held records when their hold is lifted, and nothing twice.
func TestRetention(t *testing.T) {
	dir := people(t) // 60 records from 0 s, 60 from 1000 s
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	retain := func(now time.Time, want ...int) {
		t.Helper()
		withLog(t, dir, func(l *Log) {
			all, err := l.Retain(Retention{Content: 10 * time.Second, Trace: 1000 * time.Second}, now, nil)
			var got []int
			for _, e := range all {
				got = append(got, e.Records)
			}
			if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%v, %v; want %v", got, err, want)
			}
		})
	}
	var hold *Hold
	withLog(t, dir, func(l *Log) {
		var err error
		if hold, err = l.Hold(access.Scope{Person: "person0@example.org"}, "counsel", "case"); err != nil {
			t.Fatal(err)
		}
	})
	retain(at(5))
	retain(at(40), 25) // 0 to 29, five of them held
	retain(at(40))
	retain(at(1005), 25, 4)  // the rest of the session; who asked 0 to 4, one held
	retain(at(1020), 8, 12)  // 1000 to 1009, two held; 5 to 19, three held
	retain(at(1020))         // nothing is left
	retain(at(3000), 42, 84) // the rest
	withLog(t, dir, func(l *Log) {
		if _, err := l.Lift(hold.ID, "counsel", "settled"); err != nil {
			t.Fatal(err)
		}
	})
	retain(at(3000), 20, 20)
	for i, rec := range readAll(t, dir)[:120] {
		if !rec.Erased || rec.Principal != "" {
			t.Errorf("record %d: %+v", i+1, rec)
		}
	}
	soundLog(t, dir)
	stop := errors.New("stop")
	withLog(t, dir, func(l *Log) {
		for range pauseEvery {
			if _, err := l.Append(someRecord(1)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := l.Retain(Retention{Content: time.Hour}, time.Now(), func() error { return stop }); !errors.Is(err, stop) {
			t.Error(err)
		}
	})
}

// Whatever the point at which a crash interrupts an erasure, the next Open finishes it, and it is on record once.
func TestInterruptedErasuresAreFinished(t *testing.T) {
	for _, recorded := range []bool{false, true} {
		dir := people(t)
		withLog(t, dir, func(l *Log) {
			p, err := (&picker{dir: dir, e: Erasure{Person: "person3@example.org", Trace: true}}).pick()
			if err != nil {
				t.Fatal(err)
			}
			rec, err := orderRecord(access.RecordErased, &access.Order{ID: "e_1", Records: p.Records}, access.Scope{}, "officer", "why")
			if err != nil {
				t.Fatal(err)
			}
			data, err := json.Marshal(&pending{ID: "e_1", After: l.Last(), Record: rec, Content: runsOf(p.content), Trace: runsOf(p.trace)})
			if err == nil {
				err = os.WriteFile(l.pendingPath(), data, 0o600)
			}
			if err == nil && recorded {
				_, err = l.Append(rec)
			}
			if err != nil {
				t.Fatal(err)
			}
		})
		withLog(t, dir, func(*Log) {})
		recs := readAll(t, dir)
		gone := 0
		for _, rec := range recs[:120] {
			if rec.Erased && rec.Principal == "" {
				gone++
			}
		}
		if gone != 20 || len(recs) != 121 || recs[120].Kind != access.RecordErased {
			t.Errorf("recorded %v: %d gone, %d records", recorded, gone, len(recs))
		}
		if _, err := os.Stat(filepath.Join(dir, keysName, pendingName)); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		silent(t, dir, "person3@example.org")
		soundLog(t, dir)
	}
}

// A file of keys that a crash left half written must not outlive the erasure of a key in it.
func TestUnfinishedFilesOfKeysAreDestroyed(t *testing.T) {
	dir := people(t)
	name := filepath.Join(dir, keysName, epochName(1))
	data, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name+".123.tmp", data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	withLog(t, dir, func(*Log) {})
	if names, err := filepath.Glob(filepath.Join(dir, keysName, "*.tmp")); err != nil || len(names) != 0 {
		t.Errorf("%v, %v", names, err)
	}
}

// Orders are given while the log is written and retention works; what comes meanwhile is not lost, and nothing is
// erased that nobody has asked for.
func TestOrdersBesideWriters(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{SegmentSize: smallSize})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 200 {
				rec := &access.Record{Time: time.Now(), Kind: access.RecordRefused, SQL: fmt.Sprintf("select 'w%d' -- walnut%03d", w, i)}
				if _, err := l.Append(rec); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 20 {
			if _, err := l.Erase(Erasure{Person: fmt.Sprintf("walnut%03d", i)}, "officer", "why", false); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		for range 20 {
			if _, err := l.Retain(Retention{Content: time.Hour}, time.Now(), nil); err != nil {
				t.Error(err)
			}
		}
	})
	hold, err := l.Hold(access.Scope{Person: "walnut150"}, "counsel", "case")
	if err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	for i := range 20 {
		if _, err := l.Erase(Erasure{Person: fmt.Sprintf("walnut%03d", i)}, "officer", "why", false); err != nil {
			t.Error(err)
		}
	}
	if out, err := l.Erase(Erasure{Person: "walnut150"}, "officer", "why", false); err != nil || out.Records != 0 || out.Held[0] != (access.Held{Hold: hold.ID, Records: 5}) {
		t.Errorf("%+v, %v", out, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	gone := 0
	for _, rec := range readAll(t, dir) {
		if rec.Erased {
			gone++
		}
	}
	if gone != 80 {
		t.Errorf("%d records are erased", gone)
	}
	soundLog(t, dir)
}

// Taking many keys at once leaves the same tree as taking them one by one.
func TestManyKeysAtOnce(t *testing.T) {
	root := key{7}
	one := keyTree{{Key: root[:]}}
	many := []uint64{0, 1, 2, 3, 9, 9, 77, 1<<keyDepth - 1}
	for _, leaf := range many {
		one = one.without(keyDepth, leaf)
	}
	if all := (keyTree{{Key: root[:]}}).without(keyDepth, many...); fmt.Sprint(all) != fmt.Sprint(one) {
		t.Errorf("%v\n%v", all, one)
	}
	every := make([]uint64, 1<<keyDepth)
	for i := range every {
		every[i] = uint64(i)
	}
	if left := one.without(keyDepth, every...); len(left) != 0 {
		t.Errorf("%d nodes are left", len(left))
	}
}
