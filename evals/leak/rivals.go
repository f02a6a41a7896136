package leak

import (
	"fmt"
	"net/url"
	"strings"

	"sallyport/evals/doors"
)

// System is one of those that the table compares.
type System struct {
	Name string
	For  string // what it is made for
	role string
	// guard stands in front of the database in this process; nil for none.
	guard func(sql string) error
}

// rivals are the other systems. Each is the idea, set up as its manual would have it, over a database role
// of the kind that goes with it; none is a product that was installed.
var rivals = []System{
	{Name: "direct", For: "nothing: the control, a superuser's own connection", role: "postgres"},
	{Name: "read-only role", For: "against writes; hides nothing that may be read", role: "readonly"},
	{Name: "regex guard", For: "against mistakes: forbidden words and names of labelled columns in the text, over a read-only role", role: "readonly", guard: regexGuard},
	{Name: "parser allow-list", For: "against writes and dangerous functions, for agents (the idea of postgres-mcp's restricted mode); hides no column", role: "readonly", guard: allowList},
	{Name: "column privileges", For: "to keep whole columns from a role; who asks for one gets an error", role: "columns_only"},
	{Name: "masking views", For: "to show a fixed masked picture of tables to a role (as postgresql_anonymizer's masked roles do); needs its own names and setup in the database", role: "through_views"},
}

// target connects as the system's role.
func (s System) target(side *Side) (doors.Target, error) {
	u, err := url.Parse(side.Server.DSN(database))
	if err != nil {
		return doors.Target{}, err
	}
	u.User = url.User(s.role)
	return doors.Target{DSN: u.String()}, nil
}

// rivalGrants are the column privileges and the masking views.
func rivalGrants() string {
	var b strings.Builder
	for _, t := range tables {
		fmt.Fprintf(&b, "grant select (%s) on %s to columns_only;\n", t.columns, t.name)
		_, bare, _ := strings.Cut(t.name, ".")
		list := t.columns
		for _, c := range columns {
			if c.table == t.name {
				list += fmt.Sprintf(`, nullif(%[1]s, %[1]s) as %[1]s`, quoteIdent(c.name))
			}
		}
		fmt.Fprintf(&b, "create view masked.%s as select %s from %s;\ngrant select on masked.%[1]s to through_views;\n", bare, list, t.name)
	}
	return b.String() + "create view masked.guesses as select * from shop.guesses;\ngrant select on masked.guesses to through_views;\n"
}

func quoteIdent(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
