package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sallyport/audit/internal/show"
	"sallyport/internal/access"
)

// Basis says from which records of the log a report is made.
type Basis struct {
	Records int                       `json:"records"`
	First   uint64                    `json:"first,omitempty"` // lowest position
	Last    uint64                    `json:"last,omitempty"`  // highest
	Kinds   map[access.RecordKind]int `json:"kinds"`
	Erased  int                       `json:"erased"` // of them, some of whose content is gone
}

func basisOf(recs []*access.Record) Basis {
	b := Basis{Records: len(recs), Kinds: map[access.RecordKind]int{}}
	for _, rec := range recs {
		if b.First == 0 || rec.Position < b.First {
			b.First = rec.Position
		}
		b.Last = max(b.Last, rec.Position)
		b.Kinds[rec.Kind]++
		if rec.Erased {
			b.Erased++
		}
	}
	return b
}

// words say it for people.
func (b *Basis) words() string {
	if b.Records == 0 {
		return "Made from no records: none match."
	}
	var kinds []string
	for _, k := range slices.Sorted(maps.Keys(b.Kinds)) {
		kinds = append(kinds, fmt.Sprintf("%d %s", b.Kinds[k], show.Clean(string(k))))
	}
	text := fmt.Sprintf("Made from %s of the log, positions %d to %d: %s.", show.Plural(int64(b.Records), "record"), b.First, b.Last, strings.Join(kinds, ", "))
	if b.Erased > 0 {
		text += fmt.Sprintf(" Of %d of them some is erased.", b.Erased)
	}
	return text
}
