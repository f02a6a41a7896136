package postgres

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v5"
	"github.com/rogpeppe/go-internal/txtar"
	"google.golang.org/protobuf/reflect/protoreflect"

	"sallyport/internal/access"
)

// unread are places in which the analyzer takes an alien for nothing. In lists of names it leaves out what is no name;
// elsewhere it looks for the one kind of node that can name something.
var unread = map[string]string{
	"Alias.colnames":                  "names",
	"A_Expr.name":                     "names",
	"ColumnRef.fields":                "names",
	"CollateClause.collname":          "names",
	"CommentStmt.object list":         "names",
	"CommonTableExpr.aliascolnames":   "names",
	"Constraint.fk_attrs":             "names",
	"Constraint.including":            "names",
	"Constraint.keys":                 "names",
	"Constraint.pk_attrs":             "names",
	"CopyStmt.attlist":                "names",
	"CreateEnumStmt.vals":             "names",
	"CreateTrigStmt.columns":          "names",
	"CTECycleClause.cycle_col_list":   "names",
	"CTESearchClause.search_col_list": "names",
	"DefElem.arg":                     "names",
	"DefElem.arg list":                "names",
	"DropStmt.objects list":           "names",
	"FuncCall.funcname":               "names",
	"JoinExpr.using_clause":           "names",
	"ObjectWithArgs.objname":          "names",
	"TypeName.names":                  "names",
	"VacuumRelation.va_cols":          "names",
	"ObjectWithArgs.objargs":          "types: NONE, where an operator has one argument, is none",
	"PrepareStmt.argtypes":            "types",
	"RangeFunction.functions list":    "the columns that a function is declared to have; no list, no columns",
	"TypeName.array_bounds":           "numbers",
}

// alien is a node that the grammar puts into no list and no expression.
func alien() *pg.Node { return &pg.Node{Node: &pg.Node_Alias{Alias: &pg.Alias{Aliasname: "x"}}} }

// TestNodesOutOfPlaceAreRefused puts an alien into each place of each statement of testdata, one at a time, as a newer
// parser could: the statement has to be refused.
func TestNodesOutOfPlaceAreRefused(t *testing.T) {
	env := testEnv(t)
	places, passed := map[string]bool{}, map[string]string{}
	for _, sql := range testdataStatements(t) {
		trees, err := Parse(sql)
		if err != nil {
			continue
		}
		for _, tree := range trees {
			if _, err := Analyze(tree, env); err != nil {
				continue
			}
			eachPlace(tree.Stmt.ProtoReflect(), "", func(place string) {
				places[place] = true
				if _, err := Analyze(tree, env); err == nil {
					passed[place] = tree.SQL
				}
			})
		}
	}
	for place, sql := range passed {
		if unread[place] == "" {
			t.Errorf("an alien at %s passes: %s", place, sql)
		}
	}
	for place := range unread {
		if passed[place] == "" {
			t.Errorf("%s is read", place)
		}
	}
	if len(places) < 100 {
		t.Errorf("only %d places", len(places))
	}
}

// eachPlace calls f with an alien in each place for a node below m, one after the other.
func eachPlace(m protoreflect.Message, parent string, f func(place string)) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.Message() == nil {
			return true
		}
		place := string(m.Descriptor().Name()) + "." + string(fd.Name())
		if m.Descriptor().Name() == "List" {
			place = parent + " list"
		}
		node := fd.Message().Name() == "Node"
		if fd.IsList() {
			l := v.List()
			for i := range l.Len() {
				if was := l.Get(i); node && was.Message().IsValid() {
					l.Set(i, protoreflect.ValueOfMessage(alien().ProtoReflect()))
					f(place)
					l.Set(i, was)
				}
				eachPlace(l.Get(i).Message(), place, f)
			}
			return true
		}
		if node {
			m.Set(fd, protoreflect.ValueOfMessage(alien().ProtoReflect()))
			f(place)
			m.Set(fd, v)
		}
		if m.Descriptor().Name() == "Node" {
			place = parent
		}
		eachPlace(v.Message(), place, f)
		return true
	})
}

// TestUnknownKindsAreRefused gives nodes a kind that the grammar does not have.
func TestUnknownKindsAreRefused(t *testing.T) {
	env := testEnv(t)
	const unknown = 999
	for sql, spoil := range map[string]func(*pg.Node){
		"SELECT id = 1 FROM orders": func(n *pg.Node) { n.GetSelectStmt().TargetList[0].GetResTarget().Val.GetAExpr().Kind = unknown },
		"SELECT ARRAY(SELECT 1)": func(n *pg.Node) {
			n.GetSelectStmt().TargetList[0].GetResTarget().Val.GetSubLink().SubLinkType = unknown
		},
		"CREATE TABLE n (x int4, CHECK (x > 1))": func(n *pg.Node) {
			n.GetCreateStmt().TableElts[1].GetConstraint().Contype = unknown
		},
		"MERGE INTO orders o USING one x ON true WHEN MATCHED THEN DELETE": func(n *pg.Node) {
			n.GetMergeStmt().MergeWhenClauses[0].GetMergeWhenClause().CommandType = unknown
		},
		"REINDEX TABLE orders":          func(n *pg.Node) { n.GetReindexStmt().Kind = unknown },
		"DROP INDEX i":                  func(n *pg.Node) { n.GetDropStmt().RemoveType = unknown },
		"COMMENT ON TABLE orders IS ''": func(n *pg.Node) { n.GetCommentStmt().Objtype = unknown },
		"ALTER TYPE mood RENAME TO m":   func(n *pg.Node) { n.GetRenameStmt().RenameType = unknown },
	} {
		trees, err := Parse(sql)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Analyze(trees[0], env); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
		spoil(trees[0].Stmt)
		if _, err := Analyze(trees[0], env); access.AsError(err) == nil || access.AsError(err).Kind == access.Internal {
			t.Errorf("%s with an unknown kind: %v", sql, err)
		}
	}
}

// A bug that panics is a refusal. Here it is an environment without a registry.
func TestPanicIsARefusal(t *testing.T) {
	trees, err := Parse("SELECT lower('x')")
	if err != nil {
		t.Fatal(err)
	}
	env := testEnv(t)
	env.Registry = nil
	if facts, err := Analyze(trees[0], env); facts != nil || access.AsError(err) == nil || access.AsError(err).Kind != access.Internal {
		t.Errorf("got %v, %v", facts, err)
	}
}

// testdataStatements are the texts of the golden files.
func testdataStatements(t *testing.T) []string {
	t.Helper()
	var out []string
	files, _ := filepath.Glob("testdata/*.txtar")
	for _, file := range files {
		ar, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range ar.Files {
			if strings.HasSuffix(f.Name, ".sql") {
				out = append(out, string(f.Data))
			}
		}
	}
	text, err := os.ReadFile("testdata/statements.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		sql, _, _ := strings.Cut(line, "\t")
		out = append(out, sql)
	}
	if len(out) < 100 {
		t.Fatal("few statements", len(out))
	}
	return out
}

// TestStarInAnExpressionIsRefused: the grammar allows it in select lists only, where it is expanded.
func TestStarInAnExpressionIsRefused(t *testing.T) {
	trees, err := Parse("SELECT id FROM customers WHERE email IS NULL")
	if err != nil {
		t.Fatal(err)
	}
	where := trees[0].Stmt.GetSelectStmt().WhereClause.GetNullTest().Arg.GetColumnRef()
	where.Fields = []*pg.Node{{Node: &pg.Node_AStar{AStar: &pg.A_Star{}}}}
	if _, err := Analyze(trees[0], testEnv(t)); access.AsError(err) == nil || access.AsError(err).Code != "42601" {
		t.Errorf("got %v", err)
	}
}

// TestWhatIsNotKnownInFromIsNamed: what no case is there for is refused by a word of ours, not by what breaks after it.
func TestWhatIsNotKnownInFromIsNamed(t *testing.T) {
	trees, err := Parse("SELECT FROM customers")
	if err != nil {
		t.Fatal(err)
	}
	trees[0].Stmt.GetSelectStmt().FromClause[0] = alien()
	if _, err := Analyze(trees[0], testEnv(t)); access.AsError(err) == nil || access.AsError(err).Kind != access.Unsupported {
		t.Errorf("got %v", err)
	}
}
