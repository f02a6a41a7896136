package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v5"
	"github.com/rogpeppe/go-internal/txtar"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// corpus gives every statement of PostgreSQL's regression suite that parses, file by file. Where the
// suite is not at hand, the batches of testdata/*.txtar stand in for it: fewer, but never none.
func corpus(t testing.TB) map[string][]*pgtree.Tree {
	t.Helper()
	dir := os.Getenv("SALLYPORT_CORPORA")
	asked := dir != ""
	if !asked {
		dir = "../../../shared/corpora"
	}
	files, _ := filepath.Glob(filepath.Join(dir, "sql/regress/*.sql"))
	if len(files) == 0 && asked {
		t.Fatalf("SALLYPORT_CORPORA is set, but %s/sql/regress has no files", dir)
	}
	out := map[string][]*pgtree.Tree{}
	add := func(file, batch string) {
		if trees, err := Parse(batch); err == nil {
			out[file] = append(out[file], trees...)
		}
	}
	for _, file := range files {
		for _, s := range scriptStatements(t, file) {
			add(filepath.Base(file), s)
		}
	}
	if len(files) > 0 {
		return out
	}
	warning := "NO CORPUS: " + dir + "/sql/regress has no files; only the statements of testdata are walked. Set SALLYPORT_CORPORA."
	t.Log(warning)
	fmt.Fprintln(os.Stderr, warning)
	files, _ = filepath.Glob("testdata/*.txtar")
	for _, file := range files {
		ar, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range ar.Files {
			if strings.HasSuffix(f.Name, ".sql") {
				add(filepath.Base(file)+"/"+f.Name, string(f.Data))
			}
		}
	}
	if len(out) == 0 {
		t.Fatal("no statements in testdata/*.txtar either")
	}
	return out
}

// scriptStatements splits a psql script, without its meta-commands and the data of its COPYs.
func scriptStatements(t testing.TB, file string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	inCopy := false
	for line := range strings.Lines(string(data)) {
		l := strings.ToLower(line)
		switch {
		case inCopy:
			inCopy = strings.TrimRight(line, "\r\n") != `\.`
			continue
		case strings.HasPrefix(line, `\`):
			continue
		case strings.HasPrefix(l, "copy ") && strings.Contains(l, "from stdin"):
			inCopy = true
		}
		b.WriteString(line)
	}
	stmts, err := pg.SplitWithScanner(b.String(), true)
	if err != nil {
		return strings.Split(b.String(), ";\n")
	}
	return stmts
}

// TestEveryNodeIsVisited walks each statement twice: once with the analyzer, once by reflection over
// the tree. Whatever the reflection finds that names a relation, function, type or operator the
// analyzer must have looked at, or have refused the statement.
func TestEveryNodeIsVisited(t *testing.T) {
	all, analysed := 0, 0
	byTag := map[string][2]int{}
	why := map[string]int{}
	for file, trees := range corpus(t) {
		for _, tree := range trees {
			want := named(tree.Stmt)
			seen := map[any]bool{}
			facts, err := analyze(tree, generous(tree), func(n any) { seen[n] = true })
			all++
			tag := Sketch(tree).Tag
			n := byTag[tag]
			n[0]++
			if e := access.AsError(err); e != nil {
				byTag[tag] = n
				if e.Kind == access.Internal {
					t.Errorf("%s: %s\n%v", file, tree.SQL, e.Err)
				}
				why[e.Code+" "+tag]++
				if os.Getenv("WHY") != "" && strings.Contains(e.Code+" "+tag+" "+e.Message, os.Getenv("WHY")) {
					t.Logf("%s: %s %s: %.300s", file, e.Code, e.Message, tree.SQL)
				}
				continue
			}
			analysed++
			n[1]++
			byTag[tag] = n
			for _, m := range want {
				if !seen[m] {
					t.Errorf("%s: not visited: %T %v in %.300s", file, m, m, tree.SQL)
				}
			}
			if facts.Tag == "" {
				t.Errorf("%s: no tag: %.200s", file, tree.SQL)
			}
		}
	}
	t.Logf("%d statements, %d analysed to the end", all, analysed)
	for _, tag := range []string{"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"} {
		n := byTag[tag]
		t.Logf("%s: %d of %d", tag, n[1], n[0])
		if n[1]*2 < n[0] {
			t.Errorf("%s: too few analysed to prove anything: %d of %d", tag, n[1], n[0])
		}
	}
	if os.Getenv("WHY") != "" {
		t.Log(why, byTag)
	}
}

// named collects, by reflection, every node under root that names something.
func named(root *pg.Node) []any {
	var out []any
	var walk func(m protoreflect.Message)
	walk = func(m protoreflect.Message) {
		switch n := m.Interface().(type) {
		case *pg.FuncCall, *pg.RangeVar, *pg.TypeName, *pg.A_Expr:
			out = append(out, n)
		}
		m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			switch {
			case fd.IsList() && fd.Message() != nil:
				for i := range v.List().Len() {
					walk(v.List().Get(i).Message())
				}
			case fd.Message() != nil:
				walk(v.Message())
			}
			return true
		})
	}
	walk(root.ProtoReflect())
	return out
}

// generous makes an environment in which most names of the statement mean something: each relation
// exists, with the columns that are asked of it.
func generous(tree *pgtree.Tree) Env {
	cat := &access.Catalog{Database: "regression", Schemas: map[string]bool{}, Relations: map[access.Name]*access.Relation{}}
	var rels []*access.Relation
	alias := map[string][]*access.Relation{}
	add := func(rel *access.Relation, col string) {
		if !slices.ContainsFunc(rel.Columns, func(c access.Column) bool { return c.Name == col }) {
			rel.Columns = append(rel.Columns, access.Column{Name: col, Num: int16(len(rel.Columns) + 1), TypeOID: 25})
		}
	}
	ctes := map[string]bool{}
	each(tree.Stmt, func(m proto.Message) {
		switch n := m.(type) {
		case *pg.CommonTableExpr:
			ctes[n.Ctename] = true
		case *pg.RangeVar:
			name := access.Name{Schema: n.Schemaname, Name: n.Relname}
			if name.Schema == "" {
				name.Schema = "public"
			}
			rel := cat.Relations[name]
			if rel == nil {
				rel = &access.Relation{Name: name, Kind: access.Table}
				cat.Relations[name] = rel
				rels = append(rels, rel)
			}
			if n.Alias != nil {
				alias[n.Alias.Aliasname] = append(alias[n.Alias.Aliasname], rel)
				for i := range n.Alias.Colnames {
					add(rel, "c"+itoa(i))
				}
			}
			alias[n.Relname] = append(alias[n.Relname], rel)
		}
	})
	each(tree.Stmt, func(m proto.Message) {
		switch n := m.(type) {
		case *pg.ColumnRef:
			parts := text(n.Fields)
			if len(parts) > 1 {
				for _, rel := range alias[parts[len(parts)-2]] {
					add(rel, parts[len(parts)-1])
				}
			} else if len(parts) == 1 && len(rels) > 0 {
				add(rels[0], parts[0])
			}
		case *pg.JoinExpr:
			for _, rel := range rels {
				for _, c := range text(n.UsingClause) {
					add(rel, c)
				}
			}
		case *pg.IndexElem:
			if n.Name != "" && len(rels) > 0 {
				add(rels[0], n.Name)
			}
		case *pg.InsertStmt:
			targets(cat, n.Relation, n.Cols, add)
		case *pg.UpdateStmt:
			targets(cat, n.Relation, n.TargetList, add)
		case *pg.MergeStmt:
			for _, w := range n.MergeWhenClauses {
				targets(cat, n.Relation, w.GetMergeWhenClause().GetTargetList(), add)
			}
		}
	})
	return Env{Catalog: cat, Path: []string{"pg_catalog", "public"}, Registry: anything{}}
}

func targets(cat *access.Catalog, rv *pg.RangeVar, ns []*pg.Node, add func(*access.Relation, string)) {
	schema := rv.Schemaname
	if schema == "" {
		schema = "public"
	}
	for _, n := range ns {
		add(cat.Relations[access.Name{Schema: schema, Name: rv.Relname}], n.GetResTarget().GetName())
	}
}

func each(n *pg.Node, f func(proto.Message)) {
	var walk func(m protoreflect.Message)
	walk = func(m protoreflect.Message) {
		f(m.Interface())
		m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			switch {
			case fd.IsList() && fd.Message() != nil:
				for i := range v.List().Len() {
					walk(v.List().Get(i).Message())
				}
			case fd.Message() != nil:
				walk(v.Message())
			}
			return true
		})
	}
	walk(n.ProtoReflect())
}

// anything is a registry in which every name is a built-in.
type anything struct{}

func (anything) Function(string) (string, bool)         { return "pure", true }
func (anything) Relation(string, string) (string, bool) { return "open", true }
func (anything) Operator(string) bool                   { return true }
func (anything) Type(string) bool                       { return true }
