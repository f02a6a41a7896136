package benign

import (
	"path"
	"strings"

	"sallyport/evals/harness"
)

// Labels of the masked principal: what in defog's schemas would be personal in a real database.
var Labels = []harness.Label{
	{Name: "pii.email", Columns: []string{"*.*.*email*"}},
	{Name: "pii.phone", Columns: []string{"*.*.*phone*"}},
	{Name: "pii.name", Columns: []string{"*.*.first_name", "*.*.last_name", "*.*.firstname", "*.*.lastname", "*.*.username", "*.*.uniqname",
		"*.*.contact_name", "*.*.sbcustname", "*.*.authorname", "*.author.name"}},
	{Name: "pii.address", Columns: []string{"*.*.*addr*", "*.*.street_name"}},
	{Name: "pii.birth", Columns: []string{"*.*.date_of_birth"}},
}

// Masks are theirs.
var Masks = map[string]harness.Mask{
	"pii.email":   {Transform: "partial", Style: "email"},
	"pii.phone":   {Transform: "partial", Style: "phone"},
	"pii.name":    {Transform: "token"},
	"pii.address": {Transform: "redact"},
	"pii.birth":   {Transform: "generalise", Style: "year"},
}

// labelled tells whether a label rule matches a column.
func labelled(table, column string) bool {
	for _, l := range Labels {
		for _, pattern := range l.Columns {
			parts := strings.Split(pattern, ".")
			t, _ := path.Match(parts[1], table)
			c, _ := path.Match(parts[2], column)
			if t && c {
				return true
			}
		}
	}
	return false
}
