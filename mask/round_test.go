package mask

import "testing"

func TestRoundEstimates(t *testing.T) {
	for in, want := range map[string]string{
		"Seq Scan on t  (cost=0.00..35.50 rows=2550 width=37)": "Seq Scan on t  (cost=0.00..100.00 rows=10000 width=0)",
		"  ->  Result  (cost=0.28..8.30 rows=1 width=4)":       "  ->  Result  (cost=1.00..10.00 rows=1 width=0)",
		`      "Startup Cost": 0.28,`:                          `      "Startup Cost": 1.00,`,
		`      "Total Cost": 8.30,`:                            `      "Total Cost": 10.00,`,
		`      "Plan Rows": 11,`:                               `      "Plan Rows": 100,`,
		`      "Plan Width": 36`:                               `      "Plan Width": 0`,
		"    Plan Rows: 0":                                     "    Plan Rows: 0",
		"    Total Cost: 1000.00":                              "    Total Cost: 1000.00",
		"    <Total-Cost>1000.01</Total-Cost>":                 "    <Total-Cost>10000.00</Total-Cost>",
		"    <Plan-Rows>20</Plan-Rows>":                        "    <Plan-Rows>100</Plan-Rows>",
		"    <Plan-Width>12</Plan-Width>":                      "    <Plan-Width>0</Plan-Width>",
		"  Filter: (rows = 17)":                                "  Filter: (rows = 17)",
		"  Workers Planned: 2":                                 "  Workers Planned: 2",
	} {
		if got := RoundEstimates(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
