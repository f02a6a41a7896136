package audit

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/access"
)

// session is a whole and sound one; its positions begin after base.
func session(id string, base uint64) []*access.Record {
	out := []*access.Record{
		{Kind: access.RecordOpen}, {Kind: access.RecordStatement}, {Kind: access.RecordRefused}, {Kind: access.RecordIntent},
		{Kind: access.RecordRelease, Intent: base + 4}, {Kind: access.RecordOutcome, Intent: base + 4}, {Kind: access.RecordTask}, {Kind: access.RecordClose, Rows: 8},
	}
	for i, rec := range out {
		rec.Session, rec.Seq, rec.Time = id, uint64(i+1), time.Unix(int64(i), 0).UTC()
	}
	return out
}

func logOf(t *testing.T, recs ...*access.Record) string {
	t.Helper()
	dir := t.TempDir()
	l := openLog(t, dir, Options{SegmentSize: smallSize})
	for _, rec := range recs {
		if _, err := l.Append(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCheckAcceptsSoundLogs(t *testing.T) {
	open := session("b", 8)[:4]
	recs := append(append(session("a", 0), open...), &access.Record{Kind: access.RecordRefused}, &access.Record{Kind: access.RecordTask, Task: "t"},
		&access.Record{Session: "login", Seq: 1, Kind: access.RecordRefused})
	got, err := Check(logOf(t, recs...))
	if err != nil {
		t.Fatal(err)
	}
	want := &Report{Segments: 1, Records: 15, Sessions: 3, Closed: 1, Open: []string{"b"}, Dangling: open[3:], Origin: got.Origin, Signed: 15}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCheckFindsWhatIsMissingOrWrongInSessions(t *testing.T) {
	drop := func(i int) func([]*access.Record) []*access.Record {
		return func(r []*access.Record) []*access.Record { return append(r[:i:i], r[i+1:]...) }
	}
	change := func(i int, f func(*access.Record)) func([]*access.Record) []*access.Record {
		return func(r []*access.Record) []*access.Record { f(r[i]); return r }
	}
	for _, c := range []struct {
		name, want string
		change     func([]*access.Record) []*access.Record
	}{
		{"open_missing", "number 1 is missing", drop(0)},
		{"statement_missing", "number 2 is missing", drop(1)},
		{"several_missing", "numbers 2 to 3 are missing", func(r []*access.Record) []*access.Record { return append(r[:1:1], r[3:]...) }},
		{"swapped", "out of order", func(r []*access.Record) []*access.Record { r[1], r[2] = r[2], r[1]; return r }},
		{"repeated", "repeated", func(r []*access.Record) []*access.Record {
			return append(r[:2:2], append([]*access.Record{r[1]}, r[2:]...)...)
		}},
		{"count_wrong", "counts 7 records", change(7, func(r *access.Record) { r.Rows = 7 })},
		{"after_close", "after the close record", func(r []*access.Record) []*access.Record {
			return append(r, &access.Record{Session: "a", Seq: 9, Kind: access.RecordStatement})
		}},
		{"outcome_of_nothing", "no intent of this session", change(5, func(r *access.Record) { r.Intent = 2 })},
		{"outcome_twice", "no intent of this session", func(r []*access.Record) []*access.Record {
			again := *r[5]
			again.Seq = 7
			r[6].Seq, r[7].Seq, r[7].Rows = 8, 9, 9
			return append(r[:6:6], append([]*access.Record{&again}, r[6:]...)...)
		}},
		{"outcome_of_another_session", "no intent of this session", func(r []*access.Record) []*access.Record {
			return append(r, &access.Record{Session: "x", Seq: 1, Kind: access.RecordOpen}, &access.Record{Session: "x", Seq: 2, Kind: access.RecordIntent},
				&access.Record{Session: "y", Seq: 1, Kind: access.RecordOpen}, &access.Record{Session: "y", Seq: 2, Kind: access.RecordOutcome, Intent: 10})
		}},
		{"opened_twice", "open record that is not the first", change(1, func(r *access.Record) { r.Kind = access.RecordOpen })},
		{"never_opened", "without an open record", change(0, func(r *access.Record) { r.Kind = access.RecordRefused })},
		{"unknown_kind", `unknown kind of record "zero"`, change(1, func(r *access.Record) { r.Kind = "zero" })},
		{"statement_without_session", "belongs to no session", func(r []*access.Record) []*access.Record {
			return append(r, &access.Record{Kind: access.RecordStatement})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			report, err := Check(logOf(t, c.change(session("a", 0))...))
			if err != nil {
				t.Fatal(err)
			}
			if text := fmt.Sprint(report.Problems); report.Sound() || !strings.Contains(text, c.want) || !strings.Contains(text, "session") {
				t.Errorf("problems: %s", text)
			}
		})
	}
}

// A frame that is changed together with its checksum is given away by its seal and by the next segment's header.
func TestCheckFindsARecordChangedWithItsChecksum(t *testing.T) {
	dir := writeLog(t, 500)
	path := filepath.Join(dir, segmentName(1))
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := offsets(t, data)[3]
	payload, _, ok := frameAt(data, at)
	time := []byte("1970-01-01T00:00:04Z")
	if !ok || !bytes.Contains(payload, time) {
		t.Fatalf("%q", payload)
	}
	copy(payload[bytes.Index(payload, time):], "1970-01-01T00:00:09Z")
	binary.LittleEndian.PutUint32(data[at+8:], frameSum(data[at:at+8], payload))
	put(t, path, data)
	report, err := Check(dir)
	if err != nil || len(report.Problems) != 3 || !strings.Contains(report.Problems[0].Text, "was changed since") || !strings.Contains(report.Problems[1].Text, "are not those") {
		t.Errorf("%+v, %v", report, err)
	}
}

// A session that has ended can be told from its close record alone: number, root, and its place among all sessions.
func TestCloseRecordsSpeakForTheirSessions(t *testing.T) {
	dir := t.TempDir()
	recs := [][]*access.Record{session("a", 0), session("b", 8), session("c", 16)}
	l := openLog(t, dir, Options{SegmentSize: smallSize})
	for i, list := range recs {
		for j, rec := range list {
			if i == 1 && j == 5 { // in the middle, with an intent that has no outcome
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				l = openLog(t, dir, Options{SegmentSize: smallSize})
			}
			if _, err := l.Append(rec); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err := Check(dir); err != nil || !r.Sound() || r.Closed != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	var bodies [][]byte
	var heads []tlog.Hash
	var r segmentReader
	if err := r.readFrom(dir, 0, nil, func(_ uint64, payload []byte) error {
		bodies = append(bodies, bytes.Clone(bodyOf(payload)))
		if head, ok := closeHead(payload); ok {
			heads = append(heads, tlog.RecordHash(head))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	all := readAll(t, dir)
	for i := range recs {
		var leaves []tlog.Hash
		for _, b := range bodies[8*i : 8*i+7] {
			leaves = append(leaves, tlog.RecordHash(b))
		}
		if got, want := all[8*i+7].Root, rootOf(leaves).String(); got != want {
			t.Errorf("session %d closes with root %s, want %s", i, got, want)
		}
	}
	c, _, err := readCheckpoint(dir, verifiers(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	if closed, err := Closed(c); err != nil || closed.N != 3 || closed.Hash != rootOf(heads) {
		t.Errorf("%v, %v, want %v", closed, err, rootOf(heads))
	}
}

func TestHeartbeatsListOpenSessions(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{SegmentSize: smallSize, BeatEvery: time.Millisecond})
	var intent uint64
	for _, rec := range append(session("a", 0), session("b", 8)[:3]...) {
		if rec.Intent != 0 { // heartbeats come between
			rec.Intent = intent
		}
		pos, err := l.Append(rec)
		if err != nil {
			t.Fatal(err)
		}
		if rec.Kind == access.RecordIntent {
			intent = pos
		}
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		var beat *access.Record
		for _, rec := range readAll(t, dir) {
			if rec.Kind == access.RecordHeartbeat {
				beat = rec
			}
		}
		if beat != nil && len(beat.Open) == 1 && beat.Open[0] == (access.OpenSession{Session: "b", Seq: 3}) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("no heartbeat lists what is open: %+v", beat)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err := Check(dir); err != nil || !r.Sound() {
		t.Errorf("%+v, %v", r, err)
	}
	lying := logOf(t, append(session("b", 0)[:3], &access.Record{Kind: access.RecordHeartbeat, Open: []access.OpenSession{{Session: "b", Seq: 4}}})...)
	if r, err := Check(lying); err != nil || r.Sound() || !strings.Contains(fmt.Sprint(r.Problems), "it had 4 records") {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestCollectPicksAndBringsContext(t *testing.T) {
	dir := logOf(t, story(t)...)
	for _, c := range []struct {
		name   string
		filter Filter
		want   []uint64
	}{
		{"task", Filter{Task: "task-7f3a"}, []uint64{3, 2, 4, 5, 8}},
		{"principal", Filter{Principal: "postgres"}, []uint64{1}},
		{"session", Filter{Session: "pg-0d3e55aa90f1c2b7"}, []uint64{15, 16, 17, 18}},
		{"actor_refused", Filter{Actor: "support-agent", Refused: true}, []uint64{3, 2, 5}},
		{"door_until", Filter{Door: access.DoorMCP, Until: story(t)[4].Time}, []uint64{2, 3, 4}},
		{"since", Filter{Since: story(t)[14].Time}, []uint64{15, 16, 17, 18}},
		{"since_within_a_session", Filter{Since: story(t)[15].Time}, []uint64{15, 16, 17, 18}},
		{"last", Filter{Last: 2}, []uint64{15, 17, 18}},
		{"connection", Filter{Connection: "other"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			recs, err := Collect(Whole(dir), c.filter)
			if err != nil {
				t.Fatal(err)
			}
			var got []uint64
			for _, rec := range recs {
				got = append(got, rec.Position)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("positions (-want +got):\n%s", diff)
			}
		})
	}
	many := writeLog(t, 300)
	if recs, err := Collect(Whole(many), Filter{Last: 7}); err != nil || len(recs) != 7 || recs[0].Position != 294 {
		t.Errorf("%d records, error %v", len(recs), err)
	}
}
