package clients

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// describe are psql's commands that read the catalog.
var describe = []string{
	`\d`, `\d customers`, `\d+ customers`, `\d orders`, `\d+ open_orders`, `\d totals`, `\d+ parts`, `\d customers_pkey`, `\d customers_id_seq`, `\dS pg_class`,
	`\dt`, `\dt+`, `\dv`, `\dv+`, `\dm`, `\dm+`, `\di`, `\di+`, `\ds`, `\ds+`, `\dE`, `\dP`, `\dP+`, `\dn`, `\dn+`, `\df`, `\df+`, `\da`, `\dT`, `\dT+`, `\dD`, `\dD+`,
	`\do`, `\dC`, `\dc`, `\dO`, `\dx`, `\dX`, `\dp`, `\z`, `\ddp`, `\du`, `\dg`, `\drds`, `\l`, `\l+`, `\db`, `\db+`, `\dF`, `\dFd`, `\dFp`, `\dFt`, `\des`, `\det`, `\dew`, `\deu`,
	`\dA`, `\dAc`, `\dAf`, `\dAo`, `\dAp`, `\dy`, `\dRp`, `\dRs`, `\dL`, `\dd`, `\dconfig`, `\dl`, `\sv open_orders`, `\sf twice`, `\encoding`, `\dt extra.*`, `\dn extra`,
}

func describeChecks() []check {
	var all []check
	for _, command := range describe {
		all = append(all, check{command, func(ctx context.Context, e *env) string {
			want, err := program(ctx, e.direct(shop), "", "psql", "-X", "-c", command)
			if err != nil {
				return "fails directly: " + err.Error()
			}
			got, err := program(ctx, e.door(shop), "", "psql", "-X", "-v", "ON_ERROR_STOP=1", "-c", command)
			if err != nil {
				return err.Error()
			}
			if squeeze(got) != squeeze(want) {
				return "another output than directly: " + firstLine(want, got)
			}
			return ""
		}})
	}
	return all
}

// sizes tell about labelled values (a wider value makes a larger table) and are kept from a masked
// principal: psql then shows an empty cell.
var sizes = regexp.MustCompile(`\b\d+ (?:bytes|kB|MB|GB)`)

func squeeze(s string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(sizes.ReplaceAllString(s, ""), "-", "")), " ")
}

func firstLine(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range w {
		if i >= len(g) || squeeze(w[i]) != squeeze(g[i]) {
			line := "(nothing)"
			if i < len(g) {
				line = g[i]
			}
			return fmt.Sprintf("`%s` for `%s`", last(line), last(w[i]))
		}
	}
	return "more lines"
}

func programChecks() []check {
	return []check{
		{"psql: masked read", func(ctx context.Context, e *env) string {
			out, err := program(ctx, e.door(shop), "", "psql", "-X", "-At", "-c", "select email, phone from customers where id = 7")
			return expect(err, out, "u***@mail.example|***")
		}},
		{"psql: tab completion", tabCompletion},
		{"psql: \\gdesc, \\gset, \\watch-free script", func(ctx context.Context, e *env) string {
			out, err := program(ctx, e.door(shop), "select id, email from customers \\gdesc\nselect count(*) as n from orders \\gset\n\\echo :n\nbegin;\nselect 1;\ncommit;\n", "psql", "-X", "-v", "ON_ERROR_STOP=1")
			return expect(err, out, "email", "200", "COMMIT")
		}},
		{"psql: \\copy out", func(ctx context.Context, e *env) string {
			out, err := program(ctx, e.door(shop), "", "psql", "-X", "-c", `\copy (select id, email from customers order by id limit 2) to stdout csv header`)
			return expect(err, out, "id,email", "1,u***@mail.example")
		}},
		{"psql: \\copy in", func(ctx context.Context, e *env) string {
			out, err := program(ctx, e.door(free), "create table c (a int, b text);\n\\copy c from stdin csv\n1,x\n2,y\n\\.\nselect count(*) from c;\ndrop table c;\n", "psql", "-X", "-At", "-v", "ON_ERROR_STOP=1")
			return expect(err, out, "COPY 2", "\n2\n")
		}},
		{"psql: reason and cursor paging", func(ctx context.Context, e *env) string {
			out, err := program(ctx, e.door(shop), "set sallyport.reason = 'looking into ticket 4711 for a customer';\n\\set FETCH_COUNT 20\nselect id from customers order by id;\n", "psql", "-X", "-At", "-v", "ON_ERROR_STOP=1")
			return expect(err, out, "\n50\n")
		}},
		{"pg_dump --schema-only, masked principal", func(ctx context.Context, e *env) string { return dump(ctx, e, shop) }},
		{"pg_dump --schema-only, nothing masked", func(ctx context.Context, e *env) string { return dump(ctx, e, free) }},
		{"pg_isready", func(ctx context.Context, e *env) string {
			out, err := program(ctx, e.door(shop), "", "pg_isready")
			return expect(err, out, "accepting connections")
		}},
		{"pgbench -i", func(ctx context.Context, e *env) string {
			out, err := program(ctx, e.door(free), "", "pgbench", "-i", "-s", "1", free)
			return expect(err, out, "done in")
		}},
		{"pgbench TPC-B, prepared", func(ctx context.Context, e *env) string {
			out, err := program(ctx, e.door(free), "", "pgbench", "-n", "-M", "prepared", "-c", "4", "-t", "50", free)
			return expect(err, out, "200/200")
		}},
		{"pgbench TPC-B, pipeline", func(ctx context.Context, e *env) string {
			script := filepath.Join(e.dir, "pipeline.sql")
			text := "\\set aid random(1, 100000)\n\\startpipeline\nselect abalance from pgbench_accounts where aid = :aid;\nupdate pgbench_accounts set abalance = abalance + 1 where aid = :aid;\nselect 1;\n\\endpipeline\n"
			if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
				return err.Error()
			}
			out, err := program(ctx, e.door(free), "", "pgbench", "-n", "-M", "extended", "-f", script, "-c", "2", "-t", "50", free)
			return expect(err, out, "100/100")
		}},
		{"pgx: prepared statements, batch, types", pgxChecks},
		{"pgx: COPY FROM, LISTEN and NOTIFY, cancel", pgxMore},
		{"node pg: parameters, named statements, types, errors", nodePG},
	}
}

// expect gives "" when there was no error and the output holds all parts.
func expect(err error, out string, parts ...string) string {
	if err != nil {
		return err.Error()
	}
	for _, p := range parts {
		if !strings.Contains(out, p) {
			return fmt.Sprintf("the output lacks %q: %s", p, last(out))
		}
	}
	return ""
}

// tabCompletion types into a psql that believes it is at a terminal.
func tabCompletion(ctx context.Context, e *env) string {
	if _, err := exec.LookPath("script"); err != nil {
		return "script (util-linux) is not installed"
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "script", "-qec", "psql -X -At", "/dev/null")
	cmd.Env = append(os.Environ(), e.door(shop)...)
	cmd.Env = append(cmd.Env, "TERM=dumb", "PAGER=cat", "PSQL_HISTORY=/dev/null")
	in, err := cmd.StdinPipe()
	if err != nil {
		return err.Error()
	}
	go func() {
		defer in.Close()
		for _, keys := range []string{"select city from custo", "\t", " where id = 1;\n", "\\q\n"} {
			time.Sleep(500 * time.Millisecond)
			in.Write([]byte(keys))
		}
		time.Sleep(time.Second)
	}()
	out, err := cmd.CombinedOutput()
	// "custo" is no table: only the completed statement gives the row.
	if strings.Contains(string(out), "here") && !strings.Contains(string(out), "ERROR") {
		return ""
	}
	return fmt.Sprintf("no completion: %v %s", err, last(string(out)))
}

func dump(ctx context.Context, e *env, db string) string {
	// --no-owner: through the door the objects belong to the same role, but its name is the principal's.
	want, err := program(ctx, e.direct(db), "", "pg_dump", "--schema-only", "--no-owner")
	if err != nil {
		return "fails directly: " + err.Error()
	}
	got, err := program(ctx, e.door(db), "", "pg_dump", "--schema-only", "--no-owner")
	if err != nil {
		return err.Error()
	}
	if got = restrictKey(got); got != restrictKey(want) {
		return "another dump than directly: " + firstLine(restrictKey(want), got)
	}
	return ""
}

// restrictKey takes out the random keys that newer pg_dumps protect their scripts with.
func restrictKey(s string) string {
	var keep []string
	for _, l := range strings.Split(s, "\n") {
		if !strings.HasPrefix(l, `\restrict`) && !strings.HasPrefix(l, `\unrestrict`) {
			keep = append(keep, l)
		}
	}
	return strings.Join(keep, "\n")
}

func pgxChecks(ctx context.Context, e *env) string {
	conn, err := pgx.Connect(ctx, e.gateway.DSN(person, secret, shop))
	if err != nil {
		return err.Error()
	}
	defer conn.Close(ctx)
	for range 3 { // the second time uses the cached statement
		var id int32
		var email *string
		var created time.Time
		if err := conn.QueryRow(ctx, "select id, email, created from customers where id = $1", 7).Scan(&id, &email, &created); err != nil {
			return err.Error()
		}
		if id != 7 || email == nil || *email != "u***@mail.example" || created.IsZero() {
			return fmt.Sprintf("got %d %v %v", id, email, created)
		}
	}
	batch := &pgx.Batch{}
	for i := range 5 {
		batch.Queue("select amount from orders where id = $1", i+1)
	}
	res := conn.SendBatch(ctx, batch)
	for i := range 5 {
		var amount float64
		if err := res.QueryRow().Scan(&amount); err != nil || amount != float64(i+1) {
			return fmt.Sprintf("batch %d: %v %v", i, amount, err)
		}
	}
	if err := res.Close(); err != nil {
		return err.Error()
	}
	var names []string
	if err := conn.QueryRow(ctx, "select array_agg(name order by id) from customers where id = any($1)", []int32{1, 2}).Scan(&names); err != nil || len(names) != 2 {
		return fmt.Sprintf("array: %v %v", names, err)
	}
	// An error inside a transaction leaves a savepoint to go back to.
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err.Error()
	}
	inner, err := tx.Begin(ctx)
	if err != nil {
		return err.Error()
	}
	if _, err := inner.Exec(ctx, "select 1 / 0"); err == nil {
		return "division by zero went well"
	}
	if err := inner.Rollback(ctx); err != nil {
		return err.Error()
	}
	var one int
	if err := tx.QueryRow(ctx, "select 1").Scan(&one); err != nil {
		return "after a savepoint: " + err.Error()
	}
	if err := tx.Commit(ctx); err != nil {
		return err.Error()
	}
	return ""
}

func pgxMore(ctx context.Context, e *env) string {
	conn, err := pgx.Connect(ctx, e.gateway.DSN(person, secret, free))
	if err != nil {
		return err.Error()
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "create table if not exists bulk (a int, b text)"); err != nil {
		return err.Error()
	}
	n, err := conn.CopyFrom(ctx, pgx.Identifier{"bulk"}, []string{"a", "b"}, pgx.CopyFromSlice(1000, func(i int) ([]any, error) { return []any{i, fmt.Sprint("row ", i)}, nil }))
	if err != nil || n != 1000 {
		return fmt.Sprintf("copy from: %d rows, %v", n, err)
	}
	if _, err := conn.Exec(ctx, "listen news"); err != nil {
		return err.Error()
	}
	if _, err := conn.Exec(ctx, "notify news, 'hello'"); err != nil {
		return err.Error()
	}
	wait, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if note, err := conn.WaitForNotification(wait); err != nil || note.Payload != "hello" {
		return fmt.Sprintf("notification: %v %v", note, err)
	}
	other, err := pgx.Connect(ctx, e.gateway.DSN(person, secret, free))
	if err != nil {
		return err.Error()
	}
	defer other.Close(ctx)
	go func() {
		time.Sleep(300 * time.Millisecond)
		other.PgConn().CancelRequest(ctx)
	}()
	start := time.Now()
	_, err = other.Exec(ctx, "select count(*) from generate_series(1, 1000000000)")
	if err == nil || time.Since(start) > 10*time.Second || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("cancel after %s: %v", time.Since(start).Round(time.Millisecond), err)
	}
	var one int
	if err := other.QueryRow(ctx, "select 1").Scan(&one); err != nil {
		return "after the cancel: " + err.Error()
	}
	return ""
}

const nodeScript = `
const { Client } = require('pg');
(async () => {
  const c = new Client({ ssl: false });
  await c.connect();
  const a = await c.query('select id, email, created from customers where id = $1', [7]);
  console.log('row', a.rows[0].id, a.rows[0].email, a.rows[0].created instanceof Date);
  for (let i = 0; i < 3; i++) {
    const b = await c.query({ name: 'by-id', text: 'select amount from orders where id = $1', values: [i + 1] });
    console.log('named', b.rows[0].amount);
  }
  try { await c.query('select nope from customers'); } catch (e) { console.log('code', e.code); }
  const d = await c.query('select 1 as x; select 2 as x');
  console.log('multi', d.length, d[1].rows[0].x);
  await c.end();
})().catch(e => { console.error(e); process.exit(1); });
`

func nodePG(ctx context.Context, e *env) string {
	dir := filepath.Join(e.dir, "node")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err.Error()
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "pg")); err != nil {
		if _, err := program(ctx, nil, "", "npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", dir, "pg@8.16.3"); err != nil {
			return "npm install pg: " + err.Error()
		}
	}
	file := filepath.Join(dir, "check.js")
	if err := os.WriteFile(file, []byte(nodeScript), 0o644); err != nil {
		return err.Error()
	}
	out, err := program(ctx, e.door(shop), "", "node", file)
	return expect(err, out, "row 7 u***@mail.example true", "named 3.00", "code 42703", "multi 2 2")
}
