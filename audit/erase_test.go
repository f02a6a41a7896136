package audit

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/access"
)

// people is a log of statements about several people, over several segments and two epochs.
func people(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for run := range 2 {
		l := openLog(t, dir, Options{SegmentSize: smallSize})
		for i := range 60 {
			name := fmt.Sprintf("person%d@example.org", i%6)
			rec := &access.Record{Session: fmt.Sprintf("s%d", run), Seq: uint64(i + 1), Time: time.Unix(int64(1000*run+i), 0).UTC(), Kind: access.RecordRefused, Principal: "analyst"}
			switch i / 6 % 5 {
			case 0:
				rec.SQL = "SELECT * FROM c WHERE email = '" + name + "'"
			case 1:
				rec.Params = []string{"1", strings.ToUpper(name)}
			case 2:
				rec.Result = []byte("D\x00\x00\x00\x20\x00\x01\x00\x00\x00\x16" + name)
			case 3:
				rec.Reason = "asked by " + name
			case 4:
				rec.Error = "no such user: " + name
			}
			if _, err := l.Append(rec); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func wantErasure(t *testing.T, dir string, e Erasure, dry bool) *Erased {
	t.Helper()
	l := openLog(t, dir, Options{SegmentSize: smallSize})
	out, err := l.Erase(e, "officer", "a request of 2 May", dry)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

// After a person is erased no byte of the directory speaks of them, everything else can be read, and every proof
// that held before still holds.
func TestErasedPeopleAreGoneAndProofsHold(t *testing.T) {
	dir := people(t)
	before := leavesOf(t, dir)
	p, err := OpenProver(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	old, _ := p.Checkpoint()

	who := Erasure{Person: "Person3@Example.org"}
	if out := wantErasure(t, dir, who, true); out.Records != 20 || len(out.Sessions) != 2 || len(out.Positions) != 20 {
		t.Fatalf("a dry run finds %+v", out)
	}
	if got := readAll(t, dir); len(got) != len(before) || strings.Contains(fmt.Sprint(got), "Erased:true") {
		t.Fatal("a dry run has changed something")
	}
	if out := wantErasure(t, dir, who, false); out.Records != 20 {
		t.Fatalf("%+v", out)
	}
	if out := wantErasure(t, dir, who, false); out.Records != 0 {
		t.Errorf("again: %+v", out)
	}

	recs := readAll(t, dir)
	erased := 0
	for i, rec := range recs[:len(before)] {
		if gone := i%6 == 3; rec.Erased != gone || gone && (rec.SQL != "" || rec.Params != nil || rec.Result != nil || rec.Reason != "" || rec.Error != "") || rec.Principal != "analyst" {
			t.Errorf("record %d: %+v", i+1, rec)
		} else if gone {
			erased++
		}
	}
	last := recs[len(recs)-1]
	if erased != 20 || len(recs) != len(before)+1 || last.Kind != access.RecordErased || last.Rows != 20 || last.Principal != "officer" || last.Reason != "a request of 2 May" {
		t.Errorf("%d erased, %d records, the last is %+v", erased, len(recs), last)
	}
	after := leavesOf(t, dir)
	for i := range before {
		if after[i] != before[i] {
			t.Fatalf("record %d was written anew", i+1)
		}
		if payload, proof, err := p.Prove(uint64(i + 1)); err != nil {
			t.Error(err)
		} else if err := tlog.CheckRecord(proof, old.Tree.N, old.Tree.Hash, int64(i), tlog.RecordHash(payload)); err != nil {
			t.Error(err)
		}
	}
	if r, err := Check(dir); err != nil || !r.Sound() {
		t.Errorf("%+v, %v", r, err)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(bytes.ToLower(data), []byte("person3")) {
			t.Errorf("%s speaks of the person", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSessionsAndTimesAreErased(t *testing.T) {
	dir := people(t)
	if out := wantErasure(t, dir, Erasure{Session: "s0", Before: time.Unix(30, 0), Trace: true}, false); out.Records != 30 {
		t.Errorf("%+v", out)
	}
	for i, rec := range readAll(t, dir)[:120] {
		if gone := i < 30; rec.Erased != gone || (rec.Principal == "") != gone || rec.Session == "" || rec.Seq == 0 {
			t.Errorf("record %d: %+v", i+1, rec)
		}
	}
	if out := wantErasure(t, dir, Erasure{Session: "s0"}, false); out.Records != 30 || out.Gone != 30 {
		t.Errorf("%+v", out)
	}
	if r, err := Check(dir); err != nil || !r.Sound() {
		t.Errorf("%+v, %v", r, err)
	}
	l := openLog(t, dir, Options{SegmentSize: smallSize})
	for _, e := range []Erasure{{}, {Trace: true}, {Person: " ab "}} {
		_, err := l.Erase(e, "officer", "why", false)
		wantError(t, err, access.Invalid, "22023")
	}
}

// The gateway may erase what it has just written: keys that it still has to give out are not in what it keeps.
func TestRecordsOfTheRunningEpochAreErased(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{SegmentSize: smallSize})
	for i := range 10 {
		if _, err := l.Append(someRecord(i + 1)); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := l.Erase(Erasure{Person: "select 7"}, "officer", "why", false); err != nil || out.Records != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	for i := range 5 {
		if _, err := l.Append(someRecord(i + 11)); err != nil {
			t.Fatal(err)
		}
	}
	for i, rec := range readAll(t, dir) {
		if rec.Erased != (i == 6) {
			t.Errorf("record %d: %+v", i+1, rec)
		}
	}
}

// What somebody was proven by goes with their name, and they are found by it: the provider knows them by that alone.
func TestProofsAreErasedWithWhoAsked(t *testing.T) {
	dir := t.TempDir()
	withLog(t, dir, func(l *Log) {
		for i := range 3 {
			rec := someRecord(i)
			rec.Session, rec.Seq, rec.Kind, rec.SQL, rec.Principal, rec.Behind = fmt.Sprint("s_", i), 1, access.RecordOpen, "", "ana", []string{"router"}
			rec.Proof = &access.Proof{Method: access.ByIDToken, Issuer: "https://id.example", Subject: fmt.Sprintf("0f2c77-%d", i), Token: strings.Repeat("5a", 32)}
			if _, err := l.Append(rec); err != nil {
				t.Fatal(err)
			}
		}
	})
	withLog(t, dir, func(l *Log) {
		if out, err := l.Erase(Erasure{Person: "0F2C77-1", Trace: true}, "dpo", "a request", false); err != nil || out.Records != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
	})
	for i, rec := range readAll(t, dir)[:3] {
		if gone := i == 1; gone != (rec.Proof == nil && rec.Behind == nil) || gone != (rec.Principal == "") || !gone && rec.Proof.Subject != fmt.Sprintf("0f2c77-%d", i) {
			t.Errorf("record %d: %+v, %+v", i+1, rec, rec.Proof)
		}
	}
	if r, err := Check(dir); err != nil || !r.Sound() {
		t.Errorf("%+v, %v", r, err)
	}
}
