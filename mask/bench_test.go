package mask_test

import (
	"testing"

	"sallyport/internal/testdb"
	"sallyport/mask"
	"sallyport/sqlguard/postgres"
)

// BenchmarkCompile measures what a plan that is not in the cache costs, after parsing and analysis.
func BenchmarkCompile(b *testing.B) {
	dsn := testdb.Shared(b).NewDatabase(b, read(b, "testdata/schema.sql"))
	w := newWorld(b, dsn, goldenRules, goldenMasks)
	for name, sql := range map[string]string{
		"point": "SELECT name, email FROM customers WHERE id = $1",
		"join":  "SELECT c.name, sum(o.amount) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.region = 'r1' GROUP BY c.id ORDER BY 2 DESC LIMIT 10",
		"plain": "SELECT * FROM plain WHERE id = $1",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				trees, err := postgres.Parse(sql)
				if err != nil {
					b.Fatal(err)
				}
				facts, err := postgres.Analyze(trees[0], w.env)
				if err != nil {
					b.Fatal(err)
				}
				d := w.decision(facts)
				b.StartTimer()
				if _, err := mask.Compile(mask.Input{Tree: trees[0], Facts: facts, Catalog: w.cat, Labels: w.labels, Masks: w.masks, Decision: d}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
