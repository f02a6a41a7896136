package postgres

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// Sketch says what can be said without resolving a name: class, tag, fingerprint, settings, channels
// and the flags of transaction control, COPY, PREPARE and cursors. Its facts are never those of a
// pure read, and a statement that it does not know is MISC without a tag.
func Sketch(t *pgtree.Tree) *access.Facts {
	f := &access.Facts{}
	f.Fingerprint, _ = pg.Fingerprint(t.SQL)
	sketch(f, t.Stmt)
	return f
}

func sketch(f *access.Facts, n *pg.Node) {
	f.Class, f.Tag = classify(n)
	switch s := n.GetNode().(type) {
	case *pg.Node_SelectStmt:
		f.Locks = len(s.SelectStmt.LockingClause) > 0
		f.Stores = s.SelectStmt.IntoClause != nil
	case *pg.Node_CreateTableAsStmt:
		f.Stores = true
	case *pg.Node_LockStmt:
		f.Locks = true
	case *pg.Node_CopyStmt:
		server := s.CopyStmt.Filename != "" || s.CopyStmt.IsProgram
		f.CopyIn = s.CopyStmt.IsFrom && !server
		f.CopyOut = !s.CopyStmt.IsFrom && !server
	case *pg.Node_ExplainStmt:
		sketch(f, s.ExplainStmt.Query)
		f.Tag, f.Explain = "EXPLAIN", true
		f.Declares = "" // it makes no cursor: one of that name is what it was
	case *pg.Node_PrepareStmt:
		f.Prepares = s.PrepareStmt.Name
	case *pg.Node_ExecuteStmt:
		f.Executes = s.ExecuteStmt.Name
	case *pg.Node_DeclareCursorStmt:
		f.Declares = s.DeclareCursorStmt.Portalname
	case *pg.Node_FetchStmt:
		f.Fetches = s.FetchStmt.Portalname
	case *pg.Node_ClosePortalStmt:
		f.Fetches = s.ClosePortalStmt.Portalname
	case *pg.Node_TransactionStmt:
		sketchTransaction(f, s.TransactionStmt)
	case *pg.Node_VariableSetStmt:
		sketchSet(f, s.VariableSetStmt)
	case *pg.Node_VariableShowStmt:
		f.Shows = []string{lower(s.VariableShowStmt.Name)}
	case *pg.Node_DiscardStmt:
		if s.DiscardStmt.Target == pg.DiscardMode_DISCARD_ALL {
			f.Settings, f.PathChange = []string{"all"}, true
		}
	case *pg.Node_ListenStmt:
		f.Channels = []string{s.ListenStmt.Conditionname}
	case *pg.Node_UnlistenStmt:
		if s.UnlistenStmt.Conditionname != "" {
			f.Channels = []string{s.UnlistenStmt.Conditionname}
		}
	case *pg.Node_NotifyStmt:
		f.Channels = []string{s.NotifyStmt.Conditionname}
	}
}

// lower folds a setting's name as guc.c compares it: ASCII letters only.
func lower(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] |= 0x20
				}
			}
			return string(b)
		}
	}
	return s
}

func sketchTransaction(f *access.Facts, s *pg.TransactionStmt) {
	switch s.Kind {
	case pg.TransactionStmtKind_TRANS_STMT_BEGIN, pg.TransactionStmtKind_TRANS_STMT_START:
		f.Transaction = "begin"
		f.Settings = optionNames(s.Options, "")
	case pg.TransactionStmtKind_TRANS_STMT_COMMIT:
		f.Transaction = "commit"
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK:
		f.Transaction = "rollback"
	case pg.TransactionStmtKind_TRANS_STMT_SAVEPOINT:
		f.Transaction = "savepoint"
	case pg.TransactionStmtKind_TRANS_STMT_RELEASE:
		f.Transaction = "release"
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_TO:
		f.Transaction = "rollback to"
	case pg.TransactionStmtKind_TRANS_STMT_PREPARE:
		f.Transaction = "prepare"
	case pg.TransactionStmtKind_TRANS_STMT_COMMIT_PREPARED:
		f.Transaction = "commit prepared"
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_PREPARED:
		f.Transaction = "rollback prepared"
	}
}

func sketchSet(f *access.Facts, s *pg.VariableSetStmt) {
	name := lower(s.Name)
	switch {
	case s.Kind == pg.VariableSetKind_VAR_RESET_ALL:
		f.Settings = []string{"all"}
	case s.Kind == pg.VariableSetKind_VAR_SET_MULTI && name == "transaction":
		f.Settings = optionNames(s.Args, "")
	case s.Kind == pg.VariableSetKind_VAR_SET_MULTI && name == "session characteristics":
		f.Settings = optionNames(s.Args, "default_")
	case s.Kind == pg.VariableSetKind_VAR_SET_MULTI && name == "transaction snapshot":
		f.Settings = []string{"transaction_snapshot"}
	case keepsStandard(name, s): // changes nothing, so there is nothing to ask for
	default:
		f.Settings = []string{name}
	}
	for _, n := range f.Settings {
		f.PathChange = f.PathChange || changesPath(n)
	}
}

// keepsStandard tells whether SET gives standard_conforming_strings the value that it has anyway, under which
// statements are read: frameworks do that as they connect.
func keepsStandard(name string, s *pg.VariableSetStmt) bool {
	if name != "standard_conforming_strings" || s.Kind != pg.VariableSetKind_VAR_SET_VALUE || len(s.Args) != 1 {
		return false
	}
	switch lower(s.Args[0].GetAConst().GetSval().GetSval()) {
	case "on", "true", "yes":
		return true
	}
	return false
}

func optionNames(ns []*pg.Node, prefix string) []string {
	var out []string
	for _, n := range ns {
		out = append(out, prefix+lower(n.GetDefElem().GetDefname()))
	}
	return out
}
