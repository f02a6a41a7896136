package postgres

import "testing"

func BenchmarkAnalyze(b *testing.B) {
	env := testEnv(b)
	for name, sql := range map[string]string{
		"point": "SELECT email FROM customers WHERE id = $1",
		"join": `SELECT c.region, count(*), sum(o.total) FROM customers c JOIN orders o ON o.customer_id = c.id
			LEFT JOIN salaries s ON s.id = c.id WHERE o.total > 10 AND c.email LIKE 'a%' GROUP BY c.region ORDER BY 2 DESC LIMIT 10`,
	} {
		b.Run(name+"/parse", func(b *testing.B) {
			for b.Loop() {
				if _, err := Parse(sql); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/analyze", func(b *testing.B) {
			trees, err := Parse(sql)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := Analyze(trees[0], env); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
