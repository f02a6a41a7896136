package mask

import (
	"regexp"
	"testing"

	"sallyport/internal/access"
	"sallyport/sqlguard/postgres"
)

// TestUnusedNames asks for names that the statement has for a relation, an alias and a CTE that nothing reads.
func TestUnusedNames(t *testing.T) {
	trees, err := postgres.Parse("WITH of_cte AS (SELECT 1) SELECT 1 FROM of_table AS of_alias")
	if err != nil {
		t.Fatal(err)
	}
	c := &compiler{in: Input{Tree: trees[0]}}
	for name, want := range map[string]string{"of_table": "of_table_", "of_alias": "of_alias_", "of_cte": "of_cte_", "free": "free"} {
		if got := c.unused(name); got != want {
			t.Errorf("%s became %s, want %s", name, got, want)
		}
	}
}

// TestDocumentsAreWalkedPastWhatEnds has what is nested come before a masked value.
func TestDocumentsAreWalkedPastWhatEnds(t *testing.T) {
	id := access.ColumnID{Relation: access.Name{Schema: "public", Name: "t"}, Column: "email"}
	f := &documentForms{keys: map[string][]sentinel{"email": {{column: id, as: Transform{Kind: Redact}, pattern: regexp.MustCompile(`^\*\*\*$`)}}}}
	for text, refused := range map[string]bool{
		`{"a": [1], "email": "***"}`:              true,
		`{"a": {"b": [2]}, "email": "***"}`:       true,
		`[{"a": [1]}, {"email": "***"}]`:          true,
		`{"email": {"a": 1}, "other": "***"}`:     false,
		`{"a": [1], "other": "***", "email": ""}`: false,
	} {
		if err := f.refuse("j", text); (err != nil) != refused {
			t.Errorf("%s: %v", text, err)
		}
	}
}
