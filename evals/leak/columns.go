package leak

import (
	"fmt"
	"strings"

	"sallyport/evals/harness"
)

// column is one labelled column. Its label is the schema's and column's names.
type column struct {
	table, name string
	make        maker
	mask        harness.Mask // under mixed masks; everything is redacted otherwise
}

var redact = harness.Mask{Transform: "redact"}

// columns are all labelled columns, in the order in which rows are written.
var columns = []column{
	{"shop.customers", "name", name, redact},
	{"shop.customers", "email", email, harness.Mask{Transform: "token"}},
	{"shop.customers", "phone", phone, harness.Mask{Transform: "partial", Style: "phone"}},
	{"shop.customers", "birth", date, harness.Mask{Transform: "generalise", Style: "decade"}},
	{"shop.orders", "ship_to", word, redact},
	{"shop.payments", "card", card, harness.Mask{Transform: "partial", Style: "card"}},
	{"shop.payments", "iban", iban, harness.Mask{Transform: "token"}},
	{"hr.employees", "full_name", name, harness.Mask{Transform: "token"}},
	{"hr.employees", "ssn", ssn, harness.Mask{Transform: "token"}},
	{"hr.employees", "salary", money, harness.Mask{Transform: "generalise", Bucket: "100000000000"}},
	{"hr.employees", "born", date, harness.Mask{Transform: "generalise", Style: "year"}},
	{"hr.employees", "badge", uuid, harness.Mask{Transform: "token"}},
	{"hr.reviews", "body", word, redact},
	{"hr.absences", "reason", word, harness.Mask{Transform: "token"}},
	{"clinic.patients", "name", name, redact},
	{"clinic.patients", "mrn", number, harness.Mask{Transform: "token"}},
	{"clinic.patients", "born", date, harness.Mask{Transform: "null"}},
	{"clinic.patients", "history", history, redact},
	{"clinic.patients", "allergies", allergies, redact},
	{"clinic.patients", "contact", contact, redact},
	{"clinic.visits", "diagnosis", word, harness.Mask{Transform: "token"}},
	{"clinic.visits", "seen", moment, harness.Mask{Transform: "generalise", Style: "month"}},
	{"clinic.samples", "result", word, redact},
	{"clinic.samples_blood", "result", word, redact},
	{"bank.accounts", "iban", iban, harness.Mask{Transform: "token"}},
	{"bank.accounts", "owner", name, redact},
	{"bank.accounts", "balance", money, redact},
	{"bank.logins", "ip", address, redact},
	{"bank.logins", "device", device, redact},
	{`bank."Odd ""Table"`, "E-Mail", email, redact},
}

// tables are the columns without a label, in the order that foreign keys ask for.
var tables = []struct {
	name, columns string
	values        func(k int) string
}{
	{"shop.customers", "id, city, segment, note", func(k int) string { return fmt.Sprintf("%d, 'city%d', 's%d', 'note %[1]d'", k, k%3, k%2) }},
	{"shop.orders", "id, customer_id, total, status, at", func(k int) string {
		return fmt.Sprintf("%d, %[1]d, %d.50, 'st%d', '2024-02-%02d'", k, k*7, k%3, 1+k)
	}},
	{"shop.payments", "id, order_id, amount", func(k int) string { return fmt.Sprintf("%d, %[1]d, %d.25", k, k*11) }},
	{"hr.employees", "id, dept, boss, title", func(k int) string { return fmt.Sprintf("%d, '%s', %d, 't%d'", k, dept(k), max(1, k/2), k%3) }},
	{"hr.reviews", "id, employee_id, score", func(k int) string { return fmt.Sprintf("%d, %[1]d, %d", k, k%5) }},
	{"hr.absences", "id, dept, days", func(k int) string { return fmt.Sprintf("%d, '%s', %d", k, dept(k), k%4) }},
	{"clinic.patients", "id, ward", func(k int) string { return fmt.Sprintf("%d, 'w%d'", k, k%2) }},
	{"clinic.visits", "id, patient_id, ward", func(k int) string { return fmt.Sprintf("%d, %[1]d, 'w%d'", k, k%2) }},
	{"clinic.samples", "id, kind", func(k int) string { return fmt.Sprintf("%d, 'k%d'", k, k%2) }},
	{"clinic.samples_blood", "id, kind, rhesus", func(k int) string { return fmt.Sprintf("%d, 'blood', 'r%d'", 100+k, k%2) }},
	{"bank.accounts", "id, kind", func(k int) string { return fmt.Sprintf("%d, 'kind%d'", k, k%2) }},
	{"bank.transfers", "id, from_id, to_id, amount, memo", func(k int) string { return fmt.Sprintf("%d, %[1]d, %d, %d.75, 'memo%[1]d'", k, 9-k, k*13) }},
	{"bank.logins", "id, account_id, at", func(k int) string { return fmt.Sprintf("%d, %[1]d, '2024-03-%02d 10:00:00+00'", k, k) }},
	{`bank."Odd ""Table"`, `id, "select"`, func(k int) string { return fmt.Sprintf("%d, %d", k, k*2) }},
}

func dept(k int) string { return []string{"it", "sales"}[k%2] }

// cells are the canaries of one side.
func cells(second bool) map[string][]cell {
	all := map[string][]cell{}
	for _, c := range columns {
		key := c.table + "." + c.name
		for k := 1; k <= rowsEach; k++ {
			v := c.make(newStream(second, fmt.Sprintf("%s/%d", key, k)), k)
			v.where = fmt.Sprintf("%s/%d", key, k)
			all[key] = append(all[key], v)
		}
	}
	return all
}

// rowsSQL writes one side's rows. Both sides run the same statements with other canaries.
func rowsSQL(second bool) string {
	all, first := cells(second), cells(false)
	var b strings.Builder
	for _, t := range tables {
		for k := 1; k <= rowsEach; k++ {
			names, values := t.columns, t.values(k)
			for _, c := range columns {
				if c.table == t.name {
					names += `, "` + c.name + `"`
					values += ", " + all[t.name+"."+c.name][k-1].sql
				}
			}
			fmt.Fprintf(&b, "insert into %s (%s) values (%s);\n", t.name, names, values)
		}
	}
	for k := 1; k <= rowsEach; k++ { // half of the guesses are right in the first twin
		guess := first["shop.customers.email"][k-1].sql
		if k%2 == 0 {
			guess = quote(fmt.Sprintf("nobody%d@nowhere.example", k))
		}
		fmt.Fprintf(&b, "insert into shop.guesses values (%d, %s, %d);\n", k, guess, k*100000000000)
	}
	return b.String()
}

// label is the label of a column.
func (c column) label() string {
	schema, _, _ := strings.Cut(c.table, ".")
	col := strings.ToLower(strings.NewReplacer("-", "_").Replace(c.name))
	return "pii." + schema + "." + col
}

// pattern is the column in a label rule; what a rule cannot spell becomes a wildcard.
func (c column) pattern() string {
	return strings.NewReplacer(`""`, "?", `"`, "", " ", "?").Replace(c.table) + "." + c.name
}
