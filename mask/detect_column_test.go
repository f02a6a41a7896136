package mask

import (
	"strings"
	"testing"
)

func TestDetectorTellsColumns(t *testing.T) {
	d := NewDetector()
	for _, c := range []struct{ name, values, want string }{
		{"", "a@b.example|c@d.example|none", "email"},
		{"shipped_at", "a@b.example|c@d.example", "email"}, // values come before the name
		{"", "Katarzyna|Ludmila|Stefan|Will", "name"},
		{"MothersMaiden", "Xiqquar|Vlomp|Quert", "name"},
		{"city", "Xiqquar|Vlomp|Quert", ""},
		{"TelephoneNumber", "84 23 30|21 25 99", "phone"},
		{"quantity", "84 23 30|21 25 99", ""},
		{"", "3/29/1982|2/28/1956|1/1/2001", "birth"},
		{"ordered", "3/29/2022|2/28/2023|1/1/2024", ""},
		{"birthday", "3/29/2012|2/28/2013|1/1/2014", "birth"},
		{"email", "shipped|paid|open", ""}, // the name lies
		{"first_name", "12|15|19", ""},
		{"", "Katarzyna|Xiqquar|Vlomp", "name"}, // a third of them is known
		{"", "Katarzyna|Xiqquar|Vlomp|Quert", ""},
		{"", "Katarzyna|xiqquar 7|vlomp 8", ""},
		{"status", "shipped|paid|open", ""},
		{"id", "1|2|3", ""},
	} {
		var values [][]byte
		for _, v := range strings.Split(c.values, "|") {
			values = append(values, []byte(v))
		}
		if got, share := d.Column(c.name, values); got != c.want || got != "" && share < 0.5 {
			t.Errorf("%s %q is %q (%.2f), want %q", c.name, c.values, got, share, c.want)
		}
	}
	if kind, share := d.Column("email", nil); kind != "" || share != 0 {
		t.Errorf("no values are %q %v", kind, share)
	}
}
