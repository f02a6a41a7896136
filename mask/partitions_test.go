package mask

import (
	"strings"
	"testing"

	"sallyport/internal/access"
)

func TestPartitionsByALabelledColumnAreRefused(t *testing.T) {
	name := func(n string) access.Name { return access.Name{Schema: "public", Name: n} }
	columns := []access.Column{{Num: 1, Name: "id", Type: "integer", TypeOID: 23}, {Num: 2, Name: "ssn", Type: "text", TypeOID: 25}}
	cat := &access.Catalog{Relations: map[access.Name]*access.Relation{}}
	add := func(n string, kind access.RelationKind, key []string, expr bool, parents ...access.Name) {
		cat.Relations[name(n)] = &access.Relation{Name: name(n), Kind: kind, Columns: columns, PartitionKey: key, PartitionExpr: expr, Parents: parents}
	}
	add("by_id", access.Partitioned, []string{"id"}, false)
	add("by_id_low", access.Table, nil, false, name("by_id"))
	add("by_ssn", access.Partitioned, []string{"ssn"}, false)
	add("by_ssn_low", access.Partitioned, []string{"id"}, false, name("by_ssn"))
	add("by_ssn_low_1", access.Table, nil, false, name("by_ssn_low"))
	add("by_expr", access.Partitioned, nil, true)
	labels, _ := Resolve(cat, "shop", []access.LabelRule{{Label: "pii.ssn", Columns: []string{"*.*.ssn"}}}, nil, nil)
	for n, refused := range map[string]bool{"by_id": false, "by_id_low": false, "by_ssn": true, "by_ssn_low": true, "by_ssn_low_1": true, "by_expr": true} {
		if why := labels.Refused(name(n)); (why != "") != refused || refused && !strings.Contains(why, "divided") {
			t.Errorf("%s: refused for %q, want refused %v", n, why, refused)
		}
	}
}
