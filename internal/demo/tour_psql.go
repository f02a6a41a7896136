package demo

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"

	"sallyport/internal/testdb"
)

const auditReason = "quarterly access review, ticket AUD-118"

// people is the chapter about those who use psql.
func (t *tour) people(ctx context.Context) error {
	if _, err := testdb.LookPath("psql"); err != nil {
		t.sayf("\n  There is no psql on this machine, so the steps with psql are left out (package postgresql-client).\n")
		return nil
	}
	folk := t.demo.folk
	first, someone := folk[0], folk[41]

	t.step("An engineer reads customers with psql")
	out := t.psql(ctx, "ada", "SELECT id, name, email, phone, card, born FROM customers ORDER BY id LIMIT 4")
	t.notice("Same psql, same SQL. Names, cards and telephone numbers are masked, addresses are tokens, dates of birth are years.",
		has(out, "tok_", "(4 rows)", fmt.Sprint(first.born.Year())), t.leaks(out))

	t.step("Tokens join")
	out = t.psql(ctx, "ada", "SELECT n.source, count(*) FROM customers c JOIN newsletter n USING (email) GROUP BY n.source ORDER BY 2 DESC")
	t.notice(fmt.Sprintf("The same address has the same token in both tables, so all %d matches are found, and no address is shown.", len(subscribers(folk))),
		sums(out, len(subscribers(folk))), t.leaks(out))

	t.step("Guessing does not help")
	out = t.psql(ctx, "ada", fmt.Sprintf("SELECT id FROM customers WHERE email LIKE '%s%%'", first.email[:4]))
	t.notice("The condition runs on tokens, not on addresses. The statement itself was compiled so that it reads masked values.",
		has(out, "(0 rows)"), t.leaks(out))

	t.step("Looking somebody up is another matter")
	out = t.psql(ctx, "ada", fmt.Sprintf("SELECT id, name, email, city FROM customers WHERE email = '%s'", someone.email))
	t.notice("The policy grants `lookup` on addresses: who knows one may find its row, whole values only. What comes back stays masked.",
		has(out, "(1 row)", fmt.Sprint(someone.id), "tok_"), t.leaks(strings.ReplaceAll(out, echo(someone.email), "")))

	t.step("Free text is watched too")
	out = t.psql(ctx, "ada", "SELECT id, subject, notes FROM support_tickets WHERE notes LIKE '%card%' ORDER BY id LIMIT 3")
	t.notice("No label covers what people write into notes. Detectors, the second line, hide what looks like personal data.",
		has(out, "(3 rows)"), lacks(out, "@"), t.leaksOfContacts(out))

	t.step("A write that policy does not allow")
	out = t.psql(ctx, "ada", "DELETE FROM newsletter WHERE source = 'checkout'")
	t.notice("Refused before anything ran, with a hint on what would be allowed.", has(out, "ERROR", "42501", "HINT"))

	t.step("A write that waits for a person")
	decided := make(chan string, 1)
	go func() { decided <- t.approve(ctx, "correcting a refund, ticket 4711") }()
	out = t.psql(ctx, "ada", "UPDATE customers SET points = points + 10 WHERE id = 1")
	problem := <-decided
	t.notice("psql waited until stella had approved exactly this statement, once, with a justification; here over the interface that `sallyport review` uses, else in her browser.",
		problem, has(out, "waiting for approval by stewards", "UPDATE 1"))

	t.step("A trick: SQL inside a function's argument")
	out = t.psql(ctx, "ada", "SELECT query_to_xml('SELECT email FROM customers', true, true, '')")
	t.notice("PostgreSQL calls that function harmless. It runs any SQL text, so the guard does not.", has(out, "ERROR"), t.leaks(out))

	t.step("An auditor reads in the clear, and has to say why")
	out = t.psql(ctx, "audrey", "SELECT name, email FROM customers ORDER BY id LIMIT 2")
	silent := has(out, "ERROR", "reason")
	out = t.psql(ctx, "audrey", "SET sallyport.reason = '"+auditReason+"'", "SELECT name, email FROM customers ORDER BY id LIMIT 2")
	t.notice("Nothing without a reason. With one she sees raw data, because policy lets auditors `reveal`; the reason grants nothing by itself.",
		silent, has(out, first.email, first.name))
	return ctx.Err()
}

// psql runs the real client as somebody, shows the command and what it printed, and gives that.
func (t *tour) psql(ctx context.Context, who string, statements ...string) string {
	bin, err := testdb.LookPath("psql")
	if err != nil {
		return err.Error()
	}
	host, port, _ := net.SplitHostPort(t.doors.PGWire)
	args := []string{"-X", "-w", "-v", "VERBOSITY=verbose", "-h", host, "-p", port, "-U", who, "-d", "shop"}
	t.sayf("  $ psql -U %s shop\n", who)
	for _, s := range statements {
		args = append(args, "-c", s)
		t.sayf("  %s=> %s;\n", "shop", s)
	}
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+t.demo.login(who).Password, "PAGER=", "PSQL_PAGER=", "LC_ALL=C.UTF-8", "PGCONNECT_TIMEOUT=20")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil && out.Len() == 0 {
		out.WriteString(err.Error())
	}
	t.shown(out.String())
	return out.String()
}

// echo is a value that the asker put into the question: finding it there is no leak. psql shows none
// of the question, so this only matters for error messages.
func echo(value string) string { return "'" + value + "'" }

// sums adds up the last column of psql's table.
func sums(output string, want int) string {
	got := 0
	for _, line := range strings.Split(output, "\n") {
		if _, last, ok := strings.Cut(line, "|"); ok {
			var n int
			if _, err := fmt.Sscan(last, &n); err == nil {
				got += n
			}
		}
	}
	if got != want {
		return fmt.Sprintf("the counts add up to %d, not to %d", got, want)
	}
	return ""
}

// leaksOfContacts is leaks without names: detectors know names by their context only.
func (t *tour) leaksOfContacts(output string) string {
	for _, p := range t.demo.folk {
		if s := lacks(output, p.email, p.phone, p.card); s != "" {
			return fmt.Sprintf("customer %d: %s", p.id, s)
		}
	}
	return ""
}
