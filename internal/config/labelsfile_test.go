package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/access"
)

const judged = `# ours
connection: shop
labels:
  - {decision: proposed, label: pii.email, columns: [public.customers.email], confidence: 0.98, why: "200 of 200 values"}
  - decision: rejected        # Ada: it is the shop's own number
    label: pii.phone
    columns: [public.shops.tel, 'Public."Odd.""Name".x']
  - {decision: accepted, label: none, columns: ["public.t.\"ä\nb\""]}
  - {columns: [public.t.ünter_x], decision: proposed, label: none}
`

// loadJudged loads the sound configuration with a labels file of that text.
func loadJudged(t *testing.T, text, extra string) (*Config, error) {
	t.Helper()
	t.Setenv("SHOP_DSN", "postgres://app:hunter2@db/shop")
	dir := t.TempDir()
	for name, text := range map[string]string{
		"policy.cedar":     "permit(principal, action, resource);",
		"shop.labels.yaml": text,
		"sallyport.yaml": "data_dir: data\nlisten: {pgwire: {address: 127.0.0.1:6543}}\nconnections:\n  shop:\n    driver: postgres\n    dsn_env: SHOP_DSN\n" + extra +
			"\npolicies: [policy.cedar]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Load(filepath.Join(dir, "sallyport.yaml"))
}

const named = "    labels_file: shop.labels.yaml"

func column(rel, col string) access.ColumnID {
	return access.ColumnID{Relation: access.Name{Schema: "public", Name: rel}, Column: col}
}

func TestLabelsFile(t *testing.T) {
	c, err := loadJudged(t, strings.Replace(judged, "public.t.ünter_x", `'public.t."ünter_x"'`, 1), named)
	if err != nil {
		t.Fatal(err)
	}
	want := &access.Judgements{File: "shop.labels.yaml", Columns: []access.Judgement{
		{Column: column("customers", "email"), Label: "pii.email", Source: "shop.labels.yaml:4"},
		{Column: column("shops", "tel"), Decided: true, Source: "shop.labels.yaml:5"},
		{Column: column(`Odd."Name`, "x"), Decided: true, Source: "shop.labels.yaml:5"},
		{Column: column("t", "ä\nb"), Decided: true, Source: "shop.labels.yaml:8"},
		{Column: column("t", "ünter_x"), Source: "shop.labels.yaml:9"},
	}}
	if diff := cmp.Diff(want, c.Connections[0].Judged); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	c, err = loadJudged(t, "connection: shop\nlabels: [{decision: accepted, label: none, columns: [a.b.c]}]", named+"\n    unjudged: show")
	if err != nil || !c.Connections[0].Judged.Show {
		t.Errorf("unjudged: show is not taken: %v", err)
	}
}

func TestLabelsFileProblems(t *testing.T) {
	const one = "connection: shop\nlabels:\n  - {decision: accepted, label: pii.x, columns: [a.b.c]}\n"
	for _, tc := range []struct{ name, text, extra, want string }{
		{"empty", "", named, "shop.labels.yaml:1: the file is empty\n  hint: `sallyport classify` writes one"},
		{"no_entries", "connection: shop\nlabels: []", named, "no column is judged"},
		{"of_another_connection", strings.Replace(one, "shop", "crm", 1), named, "shop.labels.yaml:1: this is the labels file of `crm`, not of `shop`"},
		{"unknown_key", strings.Replace(one, "label:", "lable:", 1), named, "shop.labels.yaml:3: unknown key `lable` in `labels[0]`"},
		{"unknown_decision", strings.Replace(one, "accepted", "yes", 1), named, "`decision` must be `proposed`, `accepted` or `rejected`, not `yes`"},
		{"pattern", strings.Replace(one, "a.b.c", `"*.b.c"`, 1), named, "names columns one by one"},
		{"two_parts", strings.Replace(one, "a.b.c", `b.c`, 1), named, "write schema.table.column, quoted as in SQL"},
		{"open_quote", strings.Replace(one, "a.b.c", `'a.b."c'`, 1), named, "a quoted part does not end"},
		{"empty_part", strings.Replace(one, "a.b.c", `'a..c'`, 1), named, "a part is empty"},
		{"trailing_dot", strings.Replace(one, "a.b.c", `'a.b."c".'`, 1), named, "a part is empty"},
		{"no_columns", strings.Replace(one, "[a.b.c]", `[]`, 1), named, "an entry without columns"},
		{"twice", one + "  - {decision: proposed, label: pii.y, columns: [A.b.c]}\n", named, `shop.labels.yaml:4: "A.b.c" is judged twice` + "\n  hint: it is first judged in line 3"},
		{"none_rejected", strings.Replace(strings.Replace(one, "pii.x", "none", 1), "accepted", "rejected", 1), named, "write the label that it has instead of `none`"},
		{"bad_label", strings.Replace(one, "pii.x", "PII X", 1), named, "cannot be a label"},
		{"bad_confidence", strings.Replace(one, "columns", "confidence: 7, columns", 1), named, "`confidence` is from 0 to 1"},
		{"missing_file", one, "    labels_file: other.yaml", "other.yaml`: no such file or directory\n  hint: to make one, leave the key out once and run `sallyport classify shop`"},
		{"unreadable_file", one, "    labels_file: .", "is a directory\n  hint: give the user of this process access to it"},
		{"unjudged_without_file", one, "    unjudged: mask", "`unjudged` without a labels file"},
		{"bad_unjudged", one, named + "\n    unjudged: hide", "`unjudged` is `mask` or `show`, not `hide`"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := loadJudged(t, tc.text, tc.extra)
			var ps Problems
			if !errors.As(err, &ps) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v\nwant %s", err, tc.want)
			}
		})
	}
}

func TestColumnNames(t *testing.T) {
	for _, id := range []access.ColumnID{column("a", "b"), column("A.b", `c"d`), column("", "x"), column("x\ny", "\x1b[2J"), column(`"`, `""`), column("ä", "1")} {
		got, err := ParseColumn(ColumnName(id))
		if id.Relation.Name == "" {
			if err == nil {
				t.Error("an empty part is taken")
			}
			continue
		}
		if err != nil || got != id {
			t.Errorf("%q is read back as %q (%v)", ColumnName(id), got, err)
		}
	}
}

// TestLabelsEditor adds to a file that people have worked in, and decides, without changing anything else.
func TestLabelsEditor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.labels.yaml")
	text := strings.Replace(judged, "public.t.ünter_x", `'public.t."ünter_x"'`, 1) + "  # the end\n"
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	e, err := EditLabels(path, "shop")
	if err != nil {
		t.Fatal(err)
	}
	hostile := ColumnName(column("t\x1b]0;x\a", "a\"],\nlabels: [{\u202e: x"))
	if err := e.Add([]LabelEntry{{Decision: Proposed, Label: "pii.phone", Columns: []string{hostile}, Confidence: 0.25, Why: "a \"word\"\n"}}); err != nil {
		t.Fatal(err)
	}
	if n, err := e.Decide(Accepted, func(id access.ColumnID) bool { return id.Relation.Name == "t" }); n != 1 || err != nil {
		t.Fatalf("%d decided: %v", n, err)
	}
	if n, err := e.Decide(Rejected, func(access.ColumnID) bool { return true }); n != 2 || err != nil {
		t.Fatalf("%d rejected: %v", n, err)
	}
	if err := e.Save(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(text, "{decision: proposed, label: pii.email", "{decision: rejected, label: pii.email", 1)
	want = strings.Replace(want, "decision: proposed, label: none}", "decision: accepted, label: none}", 1)
	want = strings.Replace(want, "  # the end\n", `  - {decision: rejected, label: pii.phone, columns: ["public.\"t\x1b]0;x\a\".\"a\"\"],\nlabels: [{\u202e: x\""], confidence: 0.25, why: "a \"word\"\n"}`+"\n  # the end\n", 1)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	again, err := EditLabels(path, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if id, err := ParseColumn(again.Entries()[4].Columns[0]); err != nil || ColumnName(id) != hostile {
		t.Errorf("a hostile name is not read back: %v %v", id, err)
	}
	if _, err := EditLabels(path, "crm"); err == nil {
		t.Error("the file of another connection is edited")
	}
}

func TestLabelsEditorRefusesWhatItCannotEdit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.labels.yaml")
	write := func(text string) *LabelsEditor {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := EditLabels(path, "shop")
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	all := func(access.ColumnID) bool { return true }
	flow := "connection: shop\nlabels: [{decision: proposed, label: pii.x, columns: [a.b.c]}]\n"
	if err := write(flow).Add([]LabelEntry{{Decision: Proposed, Label: "none", Columns: []string{"a.b.d"}}}); err == nil {
		t.Error("a list in brackets is added to")
	}
	if n, err := write(flow).Decide(Accepted, all); n != 1 || err != nil {
		t.Errorf("in brackets: %d %v", n, err)
	}
	two := "connection: shop\nlabels:\n- {decision: \"proposed\", label: pii.x, columns: [a.b.c, a.b.d]}\n"
	if _, err := write(two).Decide(Accepted, func(id access.ColumnID) bool { return id.Column == "c" }); err == nil || !strings.Contains(err.Error(), ":3: the pattern matches some columns") {
		t.Errorf("half an entry: %v", err)
	}
	if _, err := write(two).Decide(Accepted, all); err == nil {
		t.Error("a quoted word is written over")
	}
	none := strings.Replace(flow, "pii.x", "none", 1)
	if _, err := write(none).Decide(Rejected, all); err == nil || !strings.Contains(err.Error(), "write its label there") {
		t.Errorf("none rejected: %v", err)
	}
}
