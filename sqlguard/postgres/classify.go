package postgres

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
)

// classify gives a statement's class, in pgAudit's vocabulary, and its command tag's verb. A
// statement that it does not know has class MISC and no tag.
func classify(n *pg.Node) (access.Class, string) {
	switch s := n.GetNode().(type) {
	case *pg.Node_SelectStmt:
		switch {
		case s.SelectStmt.IntoClause != nil:
			return access.ClassDDL, "SELECT INTO"
		case modifies(s.SelectStmt.WithClause):
			return access.ClassWrite, "SELECT"
		}
		return access.ClassRead, "SELECT"
	case *pg.Node_InsertStmt:
		return access.ClassWrite, "INSERT"
	case *pg.Node_UpdateStmt:
		return access.ClassWrite, "UPDATE"
	case *pg.Node_DeleteStmt:
		return access.ClassWrite, "DELETE"
	case *pg.Node_MergeStmt:
		return access.ClassWrite, "MERGE"
	case *pg.Node_TruncateStmt:
		return access.ClassWrite, "TRUNCATE TABLE"
	case *pg.Node_CopyStmt:
		if s.CopyStmt.IsFrom {
			return access.ClassWrite, "COPY"
		}
		if q := s.CopyStmt.Query; q != nil {
			class, _ := classify(q)
			return class, "COPY"
		}
		return access.ClassRead, "COPY"
	case *pg.Node_PrepareStmt:
		class, _ := classify(s.PrepareStmt.Query)
		return class, "PREPARE"
	case *pg.Node_DeclareCursorStmt:
		class, _ := classify(s.DeclareCursorStmt.Query)
		return class, "DECLARE CURSOR"
	case *pg.Node_ExecuteStmt:
		return access.ClassMisc, "EXECUTE"
	case *pg.Node_DeallocateStmt:
		return access.ClassMisc, "DEALLOCATE"
	case *pg.Node_FetchStmt:
		if s.FetchStmt.Ismove {
			return access.ClassMisc, "MOVE"
		}
		return access.ClassMisc, "FETCH"
	case *pg.Node_ClosePortalStmt:
		return access.ClassMisc, "CLOSE CURSOR"
	case *pg.Node_DiscardStmt:
		return access.ClassMisc, "DISCARD"
	case *pg.Node_ListenStmt:
		return access.ClassMisc, "LISTEN"
	case *pg.Node_UnlistenStmt:
		return access.ClassMisc, "UNLISTEN"
	case *pg.Node_NotifyStmt:
		return access.ClassMisc, "NOTIFY"
	case *pg.Node_LockStmt:
		return access.ClassMisc, "LOCK TABLE"
	case *pg.Node_CheckPointStmt:
		return access.ClassMisc, "CHECKPOINT"
	case *pg.Node_LoadStmt:
		return access.ClassMisc, "LOAD"
	case *pg.Node_VacuumStmt:
		if s.VacuumStmt.IsVacuumcmd {
			return access.ClassMisc, "VACUUM"
		}
		return access.ClassMisc, "ANALYZE"
	case *pg.Node_ClusterStmt:
		return access.ClassMisc, "CLUSTER"
	case *pg.Node_ReindexStmt:
		return access.ClassMisc, "REINDEX"
	case *pg.Node_VariableSetStmt:
		switch s.VariableSetStmt.Kind {
		case pg.VariableSetKind_VAR_RESET, pg.VariableSetKind_VAR_RESET_ALL:
			return access.ClassMiscSet, "RESET"
		}
		return access.ClassMiscSet, "SET"
	case *pg.Node_VariableShowStmt:
		return access.ClassMiscSet, "SHOW"
	case *pg.Node_ConstraintsSetStmt:
		return access.ClassMiscSet, "SET CONSTRAINTS"
	case *pg.Node_TransactionStmt:
		return access.ClassTransaction, transactionTag(s.TransactionStmt.Kind)
	case *pg.Node_DoStmt:
		return access.ClassFunction, "DO"
	case *pg.Node_CallStmt:
		return access.ClassFunction, "CALL"
	case *pg.Node_GrantStmt:
		if s.GrantStmt.IsGrant {
			return access.ClassRole, "GRANT"
		}
		return access.ClassRole, "REVOKE"
	case *pg.Node_GrantRoleStmt:
		if s.GrantRoleStmt.IsGrant {
			return access.ClassRole, "GRANT ROLE"
		}
		return access.ClassRole, "REVOKE ROLE"
	case *pg.Node_CreateRoleStmt:
		return access.ClassRole, "CREATE ROLE"
	case *pg.Node_AlterRoleStmt, *pg.Node_AlterRoleSetStmt:
		return access.ClassRole, "ALTER ROLE"
	case *pg.Node_DropRoleStmt:
		return access.ClassRole, "DROP ROLE"
	case *pg.Node_AlterDefaultPrivilegesStmt:
		return access.ClassRole, "ALTER DEFAULT PRIVILEGES"
	case *pg.Node_DropOwnedStmt:
		return access.ClassRole, "DROP OWNED"
	case *pg.Node_ReassignOwnedStmt:
		return access.ClassRole, "REASSIGN OWNED"
	}
	if tag := ddlTag(n); tag != "" {
		return access.ClassDDL, tag
	}
	return access.ClassMisc, ""
}

// modifies says whether a WITH clause writes, which makes a SELECT a write.
func modifies(w *pg.WithClause) bool {
	for _, n := range w.GetCtes() {
		if n.GetCommonTableExpr().GetCtequery().GetSelectStmt() == nil {
			return true
		}
	}
	return false
}

func transactionTag(k pg.TransactionStmtKind) string {
	switch k {
	case pg.TransactionStmtKind_TRANS_STMT_BEGIN:
		return "BEGIN"
	case pg.TransactionStmtKind_TRANS_STMT_START:
		return "START TRANSACTION"
	case pg.TransactionStmtKind_TRANS_STMT_COMMIT:
		return "COMMIT"
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK, pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_TO:
		return "ROLLBACK"
	case pg.TransactionStmtKind_TRANS_STMT_SAVEPOINT:
		return "SAVEPOINT"
	case pg.TransactionStmtKind_TRANS_STMT_RELEASE:
		return "RELEASE"
	case pg.TransactionStmtKind_TRANS_STMT_PREPARE:
		return "PREPARE TRANSACTION"
	case pg.TransactionStmtKind_TRANS_STMT_COMMIT_PREPARED:
		return "COMMIT PREPARED"
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_PREPARED:
		return "ROLLBACK PREPARED"
	}
	return ""
}

// ddlTag gives the tag of a statement that defines something, or "".
func ddlTag(n *pg.Node) string {
	switch s := n.GetNode().(type) {
	case *pg.Node_CreateStmt:
		return "CREATE TABLE"
	case *pg.Node_CreateForeignTableStmt:
		return "CREATE FOREIGN TABLE"
	case *pg.Node_CreateTableAsStmt:
		if s.CreateTableAsStmt.Objtype == pg.ObjectType_OBJECT_MATVIEW {
			return "CREATE MATERIALIZED VIEW"
		}
		return "CREATE TABLE AS"
	case *pg.Node_ViewStmt:
		return "CREATE VIEW"
	case *pg.Node_RefreshMatViewStmt:
		return "REFRESH MATERIALIZED VIEW"
	case *pg.Node_IndexStmt:
		return "CREATE INDEX"
	case *pg.Node_CreateSeqStmt:
		return "CREATE SEQUENCE"
	case *pg.Node_AlterSeqStmt:
		return "ALTER SEQUENCE"
	case *pg.Node_CreateSchemaStmt:
		return "CREATE SCHEMA"
	case *pg.Node_CreateDomainStmt:
		return "CREATE DOMAIN"
	case *pg.Node_AlterDomainStmt:
		return "ALTER DOMAIN"
	case *pg.Node_CreateEnumStmt, *pg.Node_CompositeTypeStmt, *pg.Node_CreateRangeStmt:
		return "CREATE TYPE"
	case *pg.Node_AlterEnumStmt, *pg.Node_AlterTypeStmt:
		return "ALTER TYPE"
	case *pg.Node_CreateFunctionStmt:
		if s.CreateFunctionStmt.IsProcedure {
			return "CREATE PROCEDURE"
		}
		return "CREATE FUNCTION"
	case *pg.Node_AlterFunctionStmt:
		return "ALTER FUNCTION"
	case *pg.Node_CreateTrigStmt:
		return "CREATE TRIGGER"
	case *pg.Node_RuleStmt:
		return "CREATE RULE"
	case *pg.Node_CreatePolicyStmt:
		return "CREATE POLICY"
	case *pg.Node_AlterPolicyStmt:
		return "ALTER POLICY"
	case *pg.Node_CreateStatsStmt:
		return "CREATE STATISTICS"
	case *pg.Node_CommentStmt:
		return "COMMENT"
	case *pg.Node_SecLabelStmt:
		return "SECURITY LABEL"
	case *pg.Node_AlterTableStmt:
		return "ALTER " + tagKind(s.AlterTableStmt.Objtype)
	case *pg.Node_RenameStmt:
		return "ALTER " + tagKind(renamedKind(s.RenameStmt))
	case *pg.Node_AlterObjectSchemaStmt:
		return "ALTER " + tagKind(s.AlterObjectSchemaStmt.ObjectType)
	case *pg.Node_AlterOwnerStmt:
		return "ALTER " + tagKind(s.AlterOwnerStmt.ObjectType)
	case *pg.Node_AlterObjectDependsStmt:
		return "ALTER " + tagKind(s.AlterObjectDependsStmt.ObjectType)
	case *pg.Node_DropStmt:
		return "DROP " + tagKind(s.DropStmt.RemoveType)
	case *pg.Node_CreateExtensionStmt:
		return "CREATE EXTENSION"
	case *pg.Node_AlterExtensionStmt, *pg.Node_AlterExtensionContentsStmt:
		return "ALTER EXTENSION"
	case *pg.Node_DefineStmt:
		return "CREATE " + tagKind(s.DefineStmt.Kind)
	case *pg.Node_CreateCastStmt:
		return "CREATE CAST"
	case *pg.Node_CreatedbStmt:
		return "CREATE DATABASE"
	case *pg.Node_DropdbStmt:
		return "DROP DATABASE"
	case *pg.Node_AlterDatabaseStmt, *pg.Node_AlterDatabaseSetStmt, *pg.Node_AlterDatabaseRefreshCollStmt:
		return "ALTER DATABASE"
	case *pg.Node_AlterSystemStmt:
		return "ALTER SYSTEM"
	case *pg.Node_CreateTableSpaceStmt, *pg.Node_DropTableSpaceStmt, *pg.Node_AlterTableSpaceOptionsStmt, *pg.Node_AlterTableMoveAllStmt,
		*pg.Node_CreateFdwStmt, *pg.Node_AlterFdwStmt, *pg.Node_CreateForeignServerStmt, *pg.Node_AlterForeignServerStmt,
		*pg.Node_CreateUserMappingStmt, *pg.Node_AlterUserMappingStmt, *pg.Node_DropUserMappingStmt, *pg.Node_ImportForeignSchemaStmt,
		*pg.Node_CreateAmStmt, *pg.Node_CreateEventTrigStmt, *pg.Node_AlterEventTrigStmt, *pg.Node_CreatePlangStmt,
		*pg.Node_CreateOpClassStmt, *pg.Node_CreateOpFamilyStmt, *pg.Node_AlterOpFamilyStmt, *pg.Node_AlterOperatorStmt,
		*pg.Node_AlterCollationStmt, *pg.Node_AlterStatsStmt, *pg.Node_CreateConversionStmt, *pg.Node_CreateTransformStmt,
		*pg.Node_AlterTsdictionaryStmt, *pg.Node_AlterTsconfigurationStmt, *pg.Node_CreatePublicationStmt, *pg.Node_AlterPublicationStmt,
		*pg.Node_CreateSubscriptionStmt, *pg.Node_AlterSubscriptionStmt, *pg.Node_DropSubscriptionStmt:
		return "DDL"
	}
	return ""
}
