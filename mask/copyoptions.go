package mask

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
)

// copyOptions holds the options of COPY to the forms that the deparser knows. It reads an option's argument
// as a string or a list without looking whether it is one, so that COPY t TO STDOUT (DELIMITER 1) would
// take the whole process along. The server itself refuses most of what is refused here.
func copyOptions(options []*pg.Node) error {
	for _, n := range options {
		d := n.GetDefElem()
		if !knownCopyOption(d) {
			return &access.Error{Kind: access.Unsupported, Code: "0A000", Message: "COPY with option " + d.GetDefname() + " in this form is not available where columns are masked",
				Hint: "write its value in quotes, or leave the option out"}
		}
	}
	return nil
}

func knownCopyOption(d *pg.DefElem) bool {
	switch arg := d.GetArg().GetNode(); d.GetDefname() {
	case "format":
		switch d.GetArg().GetString_().GetSval() { // others are left out when written
		case "text", "csv", "binary":
			return true
		}
	case "delimiter", "null", "quote", "escape", "encoding", "default":
		_, ok := arg.(*pg.Node_String_)
		return ok
	case "header", "freeze":
		// The same answer in the one form that is written as it was read.
		value, ok := copySwitch(d.GetArg())
		if ok {
			d.Arg = pg.MakeStrNode(value)
		}
		return ok
	case "force_quote", "force_null", "force_not_null":
		_, list := arg.(*pg.Node_List)
		_, star := arg.(*pg.Node_AStar)
		return list || star && d.GetDefname() == "force_quote"
	}
	return false
}

// copySwitch reads a boolean option as defGetBoolean does, and the MATCH of HEADER.
func copySwitch(n *pg.Node) (string, bool) {
	switch v := n.GetNode().(type) {
	case nil:
		return "true", true
	case *pg.Node_Boolean:
		return map[bool]string{true: "true", false: "false"}[v.Boolean.GetBoolval()], true
	case *pg.Node_Integer:
		switch v.Integer.GetIval() {
		case 0:
			return "false", true
		case 1:
			return "true", true
		}
	case *pg.Node_String_:
		switch s := strings.ToLower(v.String_.GetSval()); s {
		case "true", "on":
			return "true", true
		case "false", "off":
			return "false", true
		case "match":
			return s, true
		}
	}
	return "", false
}
