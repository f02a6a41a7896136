package mask_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/txtar"

	"sallyport/internal/access"
	"sallyport/internal/testdb"
	"sallyport/mask"
)

var update = flag.Bool("update", false, "rewrite the golden files from what the code gives")

var goldenRules = []access.LabelRule{
	{Label: "pii.email", Columns: []string{"customers.email", "orders.email", "Odd Name.e\"mail"}},
	{Label: "pii.phone", Columns: []string{"public.customers.phone"}},
	{Label: "pii.ssn", Columns: []string{"*.ssn"}},
	{Label: "hr.salary", Columns: []string{"public.customers.salary"}},
	{Label: "pii.born", Columns: []string{"public.customers.born"}},
	{Label: "id.code", Columns: []string{"public.customers.code", "public.badges.number", "public.badges.small", "public.badges.line", "public.badges.nick"}},
	{Label: "pii.note", Columns: []string{"public.badges.note"}},
	{Label: "pii.letter", Columns: []string{"public.badges.letter", "public.badges.form"}},
	{Label: "pii.tag", Columns: []string{"public.customers.tags"}},
}

var goldenMasks = []access.Mask{
	{Label: "pii.email", Transform: "partial", Style: "email"},
	{Label: "pii.phone", Transform: "partial", Style: "phone"},
	{Label: "hr.salary", Transform: "null"},
	{Label: "pii.born", Transform: "generalise", Style: "year"},
	{Label: "id.code", Transform: "token"},
	{Label: "pii.note", Transform: "generalise", Bucket: "3"},
	{Label: "pii.tag", Transform: "partial", Style: "generic"},
}

// TestCompileGolden runs testdata/compile/*.txtar: each "name.sql" is a statement, the "name.out" after it what
// it compiles to, or the error. A file whose first line says "lookup:" grants lookup on those columns.
//
// What compiles is run as well: with every mask taken off again it must answer as the original does, so that
// nothing but the mask has changed; with the masks it must have the original's columns, names and types.
func TestCompileGolden(t *testing.T) {
	schema := read(t, "testdata/schema.sql")
	dsn := testdb.Shared(t).NewDatabase(t, schema)
	conn := dial(t, dsn)
	files, err := filepath.Glob("testdata/compile/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		ar, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, dsn, goldenRules, goldenMasks)
		if list, ok := strings.CutPrefix(strings.SplitN(string(ar.Comment), "\n", 2)[0], "lookup:"); ok {
			for _, c := range strings.Fields(list) {
				p := strings.Split(c, ".")
				w.lookup[access.ColumnID{Relation: access.Name{Schema: p[0], Name: p[1]}, Column: p[2]}] = true
			}
		}
		patterns := mask.MaskPatterns(w.cat, w.labels, w.masks)
		var out []txtar.File
		for i, f := range ar.Files {
			name, ok := strings.CutSuffix(f.Name, ".sql")
			if !ok {
				continue
			}
			sql := strings.TrimSpace(string(f.Data))
			got, compiled := compileText(w, sql)
			got = short(patterns, got)
			out = append(out, f, txtar.File{Name: name + ".out", Data: []byte(got)})
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar")+"/"+name, func(t *testing.T) {
				if compiled != "" && !strings.HasPrefix(name, "copy_from") && name != "prepare" { // waits for data; outlives the transaction
					sameAnswer(t, conn, sql, compiled, patterns)
				}
				if *update {
					return
				}
				if i+1 >= len(ar.Files) || ar.Files[i+1].Name != name+".out" {
					t.Fatalf("no output recorded; run with -update and read it")
				}
				if want := ar.Files[i+1].Data; !bytes.Equal(want, []byte(got)) {
					t.Errorf("output differs (-want +got):\n%s", cmp.Diff(string(want), got))
				}
			})
		}
		if *update {
			ar.Files = out
			if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func compileText(w *world, sql string) (text, compiled string) {
	c, _, err := w.compile(sql)
	if err == nil {
		return c.SQL + "\n", c.SQL
	}
	e := access.AsError(err)
	text = fmt.Sprintf("%s %s: %s\n", e.Kind, e.Code, e.Message)
	if e.Hint != "" {
		text += "hint: " + e.Hint + "\n"
	}
	if e.Kind == access.Internal && errors.Unwrap(e) != nil {
		text += "cause: " + errors.Unwrap(e).Error() + "\n"
	}
	return text, ""
}

// short writes the masks of a compiled statement as mask(column).
func short(patterns []mask.MaskPattern, sql string) string {
	for _, p := range patterns {
		sql = p.Expr.ReplaceAllStringFunc(sql, func(s string) string {
			col := p.Expr.FindStringSubmatch(s)[1]
			if strings.Contains(s, " AS "+col) && strings.HasSuffix(s, " AS "+col) {
				return "mask() AS " + col
			}
			return "mask(" + col + ")"
		})
	}
	return sql
}

var shortMask = regexp.MustCompile(`mask\(([^()]*)\)(?: AS ("(?:[^"]|"")+"|\w+))?`)

// unmasked takes masks off: mask(c.email) becomes c.email.
func unmasked(sql string) string {
	return shortMask.ReplaceAllStringFunc(sql, func(s string) string {
		m := shortMask.FindStringSubmatch(s)
		if m[1] == "" {
			m[1] = m[2]
		}
		if m[2] == "" {
			return m[1]
		}
		return m[1] + " AS " + m[2]
	})
}

func sameAnswer(t *testing.T, conn *pgx.Conn, original, compiled string, patterns []mask.MaskPattern) {
	t.Helper()
	want, masked := answer(t, conn, original), answer(t, conn, compiled)
	// A whole row of a subquery is a record, not the relation's row type.
	types := regexp.MustCompile(`:(\d{5,}|2249):`)
	head := func(s string) string {
		s, _, _ = strings.Cut(s, "\n")
		return types.ReplaceAllString(s, ":record:")
	}
	if strings.HasPrefix(want, "ERROR") != strings.HasPrefix(masked, "ERROR") {
		t.Errorf("original: %.200s\nmasked: %.200s\n%s", want, masked, compiled)
		return
	}
	if head(want) != head(masked) {
		t.Errorf("columns were\n%s\nand became\n%s\n%s", head(want), head(masked), compiled)
	}
	if !strings.HasPrefix(strings.ToUpper(original), "SELECT") && !strings.HasPrefix(strings.ToUpper(original), "WITH") {
		return
	}
	bare := unmasked(short(patterns, compiled))
	got := answer(t, conn, bare)
	want, got = types.ReplaceAllString(want, ":record:"), types.ReplaceAllString(got, ":record:")
	if want != got {
		t.Errorf("without masks the answer differs: %s\n%s", bare, cmp.Diff(want, got))
	}
}
