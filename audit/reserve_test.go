package audit

import (
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/access"
)

// On a disk that is full statements are refused while there is still room to record it: that, outcomes and the end
// of sessions. When there is room again the log goes on, with nothing missing.
func TestRefusalsAreRecordedOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	var full atomic.Bool
	d := &faultDisk{create: func(string) error {
		if full.Load() {
			return &os.PathError{Op: "open", Err: syscall.ENOSPC}
		}
		return nil
	}}
	l, err := open(dir, Options{SegmentSize: 256 << 10}, d)
	if err != nil {
		t.Fatal(err)
	}
	full.Store(true)
	seq := uint64(0)
	add := func(kind access.RecordKind, intent uint64) (*access.Record, error) {
		seq++
		rec := &access.Record{Session: "s", Seq: seq, Time: time.Unix(1, 0).UTC(), Kind: kind, Intent: intent, SQL: "SELECT 1", Rows: 1, Principal: "p"}
		_, err := l.Append(rec)
		return rec, err
	}
	if _, err := add(access.RecordOpen, 0); err != nil {
		t.Fatal(err)
	}
	intent, err := add(access.RecordIntent, 0)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil && seq < 10_000 {
		_, err = add(access.RecordStatement, 0)
	}
	wantError(t, err, access.Unavailable, codeDiskFull)
	refused := seq
	for _, kind := range []access.RecordKind{access.RecordIntent, access.RecordRelease, access.RecordTask, access.RecordOpen} {
		if _, err := add(kind, 0); err != error(errShort) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if _, err := add(access.RecordOutcome, intent.Position); err != nil {
		t.Errorf("an outcome is not taken: %v", err)
	}
	if err := l.Err(); err != nil {
		t.Fatalf("the log has ended: %v", err)
	}
	full.Store(false)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		_, err := add(access.RecordStatement, 0)
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it does not go on: %v, %v", err, l.Err())
		}
	}
	for range 1500 { // into the next segment
		if _, err := add(access.RecordStatement, 0); err != nil {
			t.Fatal(err)
		}
	}
	seq++
	if _, err := l.Append(&access.Record{Session: "s", Seq: seq, Time: time.Unix(1, 0).UTC(), Kind: access.RecordClose, Rows: int64(seq)}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err := Check(dir); err != nil || !r.Sound() || r.Closed != 1 || r.Records != seq {
		t.Errorf("%+v, %v", r, err)
	}
	rec := readAll(t, dir)[refused-1]
	if rec.Kind != access.RecordRefused || rec.Code != codeDiskFull || rec.Seq != refused || rec.SQL != "SELECT 1" || rec.Rows != 0 || rec.Principal != "p" {
		t.Errorf("the refusal is recorded as %+v", rec)
	}
}

// Refusals use up half of the reserve at most. When outcomes have used up the rest the log stops, as at every other
// fault.
func TestTheLogEndsWhenTheReserveIsUsedUp(t *testing.T) {
	dir := t.TempDir()
	n := 0
	l, err := open(dir, Options{SegmentSize: 256 << 10}, &faultDisk{create: func(string) error {
		if n++; n > 1 {
			return syscall.ENOSPC
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	acked := 0
	for ; err == nil && acked < 10_000; acked++ {
		_, err = l.Append(someRecord(acked + 1)) // refusals
	}
	acked--
	wantError(t, err, access.Unavailable, codeDiskFull)
	if err := l.Err(); err != nil {
		t.Fatalf("refusals have ended the log: %v", err)
	}
	for err = nil; err == nil && acked < 10_000; acked++ {
		rec := someRecord(acked + 1)
		rec.Kind = access.RecordClose
		_, err = l.Append(rec)
	}
	acked--
	wantError(t, err, access.Unavailable, codeDiskFull)
	wantError(t, l.Err(), access.Unavailable, codeDiskFull)
	wantError(t, l.Close(), access.Unavailable, codeDiskFull)
	if got := readAll(t, dir); len(got) != acked {
		t.Errorf("%d records of %d", len(got), acked)
	}
}
