package twin

import (
	"fmt"
	"slices"
	"strings"
)

// policy lets a masked principal do everything but see labelled values, call what users defined,
// change settings outside the safe list, or go unresolved.
const policy = `
@id("twins") %s
permit (
  principal,
  action in [Action::"connect", Action::"read", Action::"notify"],
  resource
);
// A trigger that an operator lets run: what it raises must still not get out.
@id("trigger")
permit (principal, action == Action::"call", resource == Function::"twin.public.note_watched");
`

const writes = `
@id("writes")
permit (
  principal,
  action in [Action::"write", Action::"write_all_rows", Action::"ddl"],
  resource
);
`

// Whoever may write under a label, or define tables, does not see its tokens: in token twins only tables without
// a label are written.
const writesUnlabelled = `
@id(%q)
permit (principal, action in [Action::"write", Action::"write_all_rows"], resource == Table::%q);
`

// A filter is what a Filter principal sees of a table.
type filter struct{ table, where string }

var filters = []filter{
	{"public.people", "region <> 'r3'"},
	{"public.events", "region <> 'r1'"},
	{"public.payments", "amount < 150"},
	{"public.base_log", "line <> 'line 3'"},
	{"public.watched", "note <> 'n3'"},
	{"hr.people", "id <= 40"},
}

// policy is that of the kind.
func (w *World) policy() string {
	timeout := ""
	if w.Plain {
		timeout = `@timeout("300ms")`
	}
	var b strings.Builder
	fmt.Fprintf(&b, policy, timeout)
	if w.Kind == Token {
		for _, t := range []string{"sink", "notes", "guesses", "extra"} {
			fmt.Fprintf(&b, writesUnlabelled, "writes-"+t, Database+".public."+t)
		}
	} else {
		b.WriteString(writes)
	}
	if w.Kind != Filter {
		return b.String()
	}
	for _, f := range filters {
		for _, connection := range []string{Database, Level} {
			fmt.Fprintf(&b, "@id(%q) @where(%q)\npermit (principal, action == Action::\"read\", resource == Table::%[3]q);\n",
				"rows-"+connection+"-"+f.table, f.where, connection+"."+f.table)
		}
	}
	return b.String()
}

// hiding makes the rows that filters hide other ones in the second twin: in values of columns without a label,
// and in number.
type hiding struct {
	on, second bool
	more       int // rows that only the second twin has
}

func hider(second bool, kind Kind) hiding {
	h := hiding{on: kind == Filter, second: second}
	if h.on && second {
		h.more = 3
	}
	return h
}

func (h hiding) word(name string, k int) string {
	return letters(rng("hidden"+name, k, h.second), 9, h.second)
}

func (h hiding) people(plain string, k int) string {
	if !h.on || k%4 != 3 && k <= rowCount {
		return plain
	}
	id, _, _ := strings.Cut(plain, ",")
	return fmt.Sprintf("%s, '%s', 'r3', %d, '%s'", id, h.word("name", k), 1+(k+b2i(h.second))%6, h.word("note", k))
}

func (h hiding) events(plain string, k int) string {
	if !h.on || k%4 != 1 {
		return plain
	}
	return fmt.Sprintf("%d, 'r1', '%d-01-01'::timestamp + interval '%d hours'", k+1000*b2i(h.second), 2010+b2i(h.second), k)
}

func (h hiding) hr(plain string, k int) string {
	if !h.on || k <= 40 {
		return plain
	}
	return fmt.Sprint(k + 500*b2i(h.second))
}

func (h hiding) payments(plain string, k int) string {
	if !h.on || k < 50 {
		return plain
	}
	return fmt.Sprintf("%d, %d, %d.50, '2023-0%d-02'", k, 1+(k*(1+6*b2i(h.second)))%rowCount, k*3+1000*b2i(h.second), 1+b2i(h.second))
}

// hidden reads what only hidden rows hold.
var hidden = []string{
	"select name from people where region = 'r3'",
	"select note from people where region = 'r3'",
}

// Filtered says whether principals of this kind see only some rows of a table.
func (k Kind) Filtered(table string) bool {
	return k == Filter && slices.ContainsFunc(filters, func(f filter) bool {
		return f.table == table || f.table == "public."+table
	})
}
