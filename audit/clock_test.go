package audit

import (
	"testing"
	"time"

	"sallyport/internal/access"
)

// TestAClockThatGoesBackwardsIsNoDamage: positions and sequence numbers order the record, times only describe
// it. Filters go by each record's own time.
func TestAClockThatGoesBackwardsIsNoDamage(t *testing.T) {
	noon := time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	recs := append(session("a", 0), session("b", 8)...)
	for i, rec := range recs {
		rec.Time = noon.Add(-time.Duration(i) * time.Hour)
	}
	dir := logOf(t, recs...)
	rep, err := Check(dir)
	if err != nil || len(rep.Problems) > 0 || rep.Closed != 2 {
		t.Errorf("%+v, %v", rep, err)
	}
	var last uint64
	since, seen := Filter{Since: noon.Add(-3 * time.Hour)}, 0
	err = Read(dir, func(r *access.Record) error {
		if r.Position != last+1 {
			t.Errorf("record %d after %d", r.Position, last)
		}
		last = r.Position
		if since.Match(r) {
			seen++
		}
		return nil
	})
	if err != nil || last != 16 || seen != 4 {
		t.Errorf("%d records, %d of the last three hours, %v", last, seen, err)
	}
	l := openLog(t, dir, Options{SegmentSize: smallSize})
	defer l.Close()
	if len(l.Unfinished()) > 0 {
		t.Errorf("unfinished: %+v", l.Unfinished())
	}
}
