package mask_test

import (
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/testdb"
)

// TestBucketsOfIntegersAreWhole: the multiples of 2.5, rounded to what an integer column can show, are other values than its
// buckets. So such a column is redacted, while a numeric one has them.
func TestBucketsOfIntegersAreWhole(t *testing.T) {
	dsn := testdb.Shared(t).NewDatabase(t, "CREATE TABLE t (n int, small smallint[], m numeric, f float8); INSERT INTO t VALUES (3, '{3}', 3, 3.7)")
	w := newWorld(t, dsn, []access.LabelRule{{Label: "x", Columns: []string{"t.*"}}}, []access.Mask{{Label: "x", Transform: "generalise", Bucket: "2.5"}})
	c, _, err := w.compile("SELECT n, small, m, f FROM t")
	if err != nil {
		t.Fatal(err)
	}
	if _, rows, _ := strings.Cut(answer(t, dial(t, dsn), c.SQL), "\n"); !strings.HasPrefix(rows, "NULL|NULL|2.5|2.5|") {
		t.Errorf("shows %s", rows)
	}
}
