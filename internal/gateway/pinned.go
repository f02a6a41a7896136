package gateway

import (
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/gateway/internal/upstream"
)

// changesPinned refuses SET of what is pinned to anything else, whoever asks: were it to run, the server's word
// of the change would end the session.
func changesPinned(stmt *pg.Node) *access.Error {
	v := stmt.GetVariableSetStmt()
	name := strings.ToLower(v.GetName())
	want, pinned := upstream.Pinned[name]
	if !pinned || v.GetKind() != pg.VariableSetKind_VAR_SET_VALUE {
		return nil // RESET goes back to what start-up gave, which is the pinned value
	}
	value := "..."
	if len(v.GetArgs()) == 1 {
		switch c := v.GetArgs()[0].GetAConst(); c.GetVal().(type) {
		case *pg.A_Const_Sval:
			value = c.GetSval().GetSval()
		case *pg.A_Const_Ival:
			value = strconv.Itoa(int(c.GetIval().GetIval()))
		}
	}
	hint := "statements are read under its standard value"
	if name == "client_encoding" {
		if isUTF8(value) {
			return nil
		}
		hint = "statements and results are UTF-8 throughout: leave it so, and let the client convert"
	} else if slices.Contains([]string{want, "true", "yes", "1"}, strings.ToLower(value)) {
		return nil
	}
	return &access.Error{Kind: access.Unsupported, Code: "0A000", Message: name + " has to stay " + want, Hint: hint}
}
