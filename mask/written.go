package mask

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
)

// asWritten tells whether a statement runs as its author wrote it: it names no relation, column or function
// that a mask or a qualified name would have to replace, so there is nothing to deparse.
func asWritten(n *pg.Node) bool {
	switch n.GetNode().(type) {
	case *pg.Node_DeallocateStmt, *pg.Node_FetchStmt, *pg.Node_ClosePortalStmt, *pg.Node_TransactionStmt, *pg.Node_VariableSetStmt,
		*pg.Node_VariableShowStmt, *pg.Node_DiscardStmt, *pg.Node_ListenStmt, *pg.Node_UnlistenStmt, *pg.Node_NotifyStmt, *pg.Node_ConstraintsSetStmt:
		return true
	}
	return false
}

// writable refuses trees that the deparser takes for others. It is C and reads what it expects without
// looking: where it takes a node of one kind for another, the process is gone. (The kinds of statements that
// get here are those that shape lets pass; COPY has a list of its own in copyoptions.go.)
//
//   - The modifiers of types in pg_catalog are read as whole numbers.
//   - The argument of an option is a word, a number, a type or an operator's name.
func writable(n *pg.Node) error {
	var err error
	walkNode(n, func(n any) bool {
		switch x := n.(type) {
		case *pg.TypeName:
			if len(x.Names) != 2 || x.Names[0].GetString_().GetSval() != "pg_catalog" {
				break
			}
			for i, m := range x.Typmods {
				v, ok := m.GetAConst().GetVal().(*pg.A_Const_Ival)
				if ok && lastName(x.Names) == "interval" && i == 0 && len(x.Typmods) > 1 {
					ok = v.Ival.GetIval()&intervalSecond != 0 // only seconds have a precision
				}
				if !ok {
					err = unsupported("type "+lastName(x.Names)+" with this modifier is not available where columns are masked", "its modifiers are whole numbers")
				}
			}
		case *pg.PartitionBoundSpec:
			err = bounds(x)
		case *pg.DefElem:
			switch x.Arg.GetNode().(type) {
			case nil, *pg.Node_String_, *pg.Node_Integer, *pg.Node_Float, *pg.Node_Boolean, *pg.Node_TypeName, *pg.Node_List, *pg.Node_AStar:
			default:
				err = unsupported("option "+x.Defname+" in this form is not available where columns are masked", "")
			}
		}
		return err == nil
	})
	return err
}

// intervalSecond is INTERVAL_MASK(SECOND) of utils/timestamp.h.
const intervalSecond = 1 << 12

// bounds refuses columns in the bounds of a partition, as the server does. The grammar has MINVALUE and
// MAXVALUE as columns.
func bounds(spec *pg.PartitionBoundSpec) error {
	bad := ""
	walk(spec.ProtoReflect(), func(n any) bool {
		cr, ok := n.(*pg.ColumnRef)
		if !ok {
			return true
		}
		if name := lastName(cr.Fields); len(cr.Fields) != 1 || name != "minvalue" && name != "maxvalue" {
			bad = name
		}
		cr.Location = ownLocation // it is resolved to nothing
		return true
	})
	if bad != "" {
		return &access.Error{Kind: access.Invalid, Code: "42P10", Message: "column " + bad + " cannot be used in a partition bound"}
	}
	return nil
}

// lockAll takes the only item of FROM out of FOR UPDATE OF item SKIP LOCKED, which says the same without it: the
// deparser writes itemSKIP LOCKED.
func lockAll(s *pg.SelectStmt) {
	if len(s.FromClause) != 1 || s.FromClause[0].GetRangeVar() == nil {
		return
	}
	for _, n := range s.LockingClause {
		if l := n.GetLockingClause(); l != nil && l.WaitPolicy != pg.LockWaitPolicy_LockWaitBlock {
			l.LockedRels = nil
		}
	}
}
