package approval

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/jackc/pgx/v5"

	"sallyport/evals/agent"
	"sallyport/evals/harness"
	"sallyport/evals/wire"
)

const connection = "shop"

// Canaries are nowhere else than in rows: one in a table whose reading is held, one under a mask.
const (
	canary     = "zqbdkfpsecret"
	canaryMail = "zqbdkfpmail@example.com"
)

const schema = `
create table accounts(id int primary key, n int not null default 0, region text not null default 'r', note text, day date, at timestamptz);
create schema other; create schema third; create schema scratch; create table other.accounts(like accounts including all);
create table secrets(id int primary key, v text not null);
create table mails(id int primary key, email text not null, spare text);
create view report as select id, n from accounts;
create function bump(int) returns int language sql volatile as 'select $1 + 1';
create sequence counter;
insert into accounts select g, 0, 'r', null, date '2026-01-01' + g, timestamptz '2026-01-01 00:00Z' + g * interval '1 hour' from generate_series(1, 30) g;
insert into other.accounts select * from accounts;
insert into secrets values (1, '` + canary + `');
insert into mails values (1, '` + canaryMail + `', null);`

const policy = `
@id("use") permit (principal in Group::"askers", action in [Action::"connect", Action::"read", Action::"session"], resource in Connection::"shop");
@id("held") @review("keepers") permit (principal in Group::"askers", action == Action::"write", resource in Connection::"shop");
@id("secret") @review("keepers") permit (principal in Group::"askers", action == Action::"read", resource in Table::"shop.public.secrets");
@id("region") @review("officers") permit (principal in Group::"askers", action == Action::"write", resource == Column::"shop.public.accounts.region");
@id("call") @review("keepers") permit (principal in Group::"askers", action == Action::"call", resource == Function::"shop.public.bump");
@id("report") @review("keepers") permit (principal in Group::"askers", action == Action::"read", resource in Table::"shop.public.report");
@id("mails") @review("keepers") permit (principal in Group::"askers", action == Action::"reveal", resource in Label::"pii.email");
@id("scratch") permit (principal in Group::"askers", action == Action::"ddl", resource in Schema::"shop.scratch");
@id("in") permit (principal in Group::"keepers", action == Action::"connect", resource);
@id("dba") permit (principal in Group::"dbas", action in [Action::"connect", Action::"unrestricted"], resource);
`

// people of every world. Passwords are "pw-" and the name, tokens tokenOf(name).
var people = []harness.Principal{
	{Name: "ada", Groups: []string{"askers"}},
	{Name: "eve", Groups: []string{"askers"}},
	{Name: "self", Groups: []string{"askers", "keepers", "officers"}}, // may decide, but not about what they ask for
	{Name: "hero", Groups: []string{"askers", "oncall"}},
	{Name: "keeper", Groups: []string{"keepers"}},
	{Name: "keeper2", Groups: []string{"keepers"}},
	{Name: "officer", Groups: []string{"officers"}},
	{Name: "guest"},
	{Name: "dba", Groups: []string{"dbas"}},
	{Name: "bot", Agent: true, Groups: []string{"askers"}},
	{Name: "bot2", Agent: true, Groups: []string{"askers"}},
	{Name: "botkeeper", Agent: true, Groups: []string{"askers", "keepers", "officers"}},
}

func tokenOf(name string) string { return "approval-token-of-" + name + "-0123456789abcdef0123456789" }

func secretOf(name string) string { return "pw-" + name }

// world is a gateway with its database.
type world struct {
	g      *harness.Gateway
	direct *pgx.Conn // past the gateway
	dsn    string
	next   int // account of the next attack
}

// world starts a gateway under some settings of approvals, and in front of a database of its own.
func (d *drill) world(ctx context.Context, approvals map[string]any, change func(*harness.Spec)) (*world, error) {
	d.made++
	db := fmt.Sprintf("shop%d", d.made)
	if err := d.server.Exec(ctx, "postgres", "create database "+db); err != nil {
		return nil, err
	}
	if err := d.server.Exec(ctx, db, schema); err != nil {
		return nil, err
	}
	spec := harness.Spec{Dir: d.dir, Connections: map[string]string{connection: d.server.DSN(db)}, Policy: policy, Web: &harness.Web{}, Refresh: "1s",
		Labels:    []harness.Label{{Name: "pii.email", Columns: []string{"public.mails.email"}}},
		Masks:     map[string]harness.Mask{"pii.email": {Transform: "redact"}},
		Approvals: map[string]any{"break_glass": []string{"oncall"}}}
	maps.Copy(spec.Approvals, approvals)
	for _, p := range people {
		p.Password, p.Token = secretOf(p.Name), tokenOf(p.Name)
		spec.Principals = append(spec.Principals, p)
	}
	if change != nil {
		change(&spec)
	}
	w := &world{dsn: d.server.DSN(db), next: 1000}
	var err error
	if w.g, err = harness.Start(ctx, spec); err != nil {
		return nil, err
	}
	if w.direct, err = pgx.Connect(ctx, w.dsn); err != nil {
		w.g.Stop()
		return nil, err
	}
	return w, nil
}

func (w *world) close() {
	w.direct.Close(context.Background())
	w.g.Stop()
}

func (w *world) dial(ctx context.Context, who string) (*wire.Conn, error) {
	return wire.Dial(ctx, w.g.DSN(who, secretOf(who), connection))
}

func (w *world) agent(ctx context.Context, who string) (*agent.Client, error) {
	a, err := agent.Dial(ctx, w.g.MCPURL, tokenOf(who), connection)
	if err == nil {
		a.Reason = "the accounts of region r are counted anew"
	}
	return a, err
}

// state is everything that attacks could change, but for one account.
func (w *world) state(ctx context.Context, id int) (string, error) {
	var all string
	err := w.direct.QueryRow(ctx, `select string_agg(t, E'\n' order by t) from (
		select 'accounts ' || to_jsonb(a)::text as t from public.accounts a where id <> $1 union all select 'other ' || to_jsonb(a)::text from other.accounts a
		union all select 'secrets ' || to_jsonb(s)::text from public.secrets s union all select 'mails ' || to_jsonb(m)::text from public.mails m
		union all select 'counter ' || last_value || is_called from counter) s`, id).Scan(&all)
	return all, err
}

// account makes a new one, that an attack may be about.
func (w *world) account(ctx context.Context) (int, error) {
	w.next++
	_, err := w.direct.Exec(ctx, "insert into accounts values ($1, 0, 'r', null, '2030-02-01', '2030-01-01 00:00Z')", w.next)
	if err == nil {
		_, err = w.direct.Exec(ctx, "insert into other.accounts select * from public.accounts where id = $1", w.next)
	}
	return w.next, err
}

// effects is how often something was done to an account; -1 when anything else than counting was.
func (w *world) effects(ctx context.Context, id int) (int, error) {
	var n int
	var rest bool
	err := w.direct.QueryRow(ctx, "select n, region = 'r' and note is null and day = '2030-02-01' and at = '2030-01-01 00:00Z' from accounts where id = $1", id).Scan(&n, &rest)
	if err == pgx.ErrNoRows || err == nil && !rest {
		return -1, nil
	}
	return n, err
}

// handleOf finds the id of a request in what the gateway says.
func handleOf(text string) string {
	_, rest, ok := strings.Cut(text, "request ")
	if !ok {
		return ""
	}
	id, _, _ := strings.Cut(rest, " ")
	return strings.Trim(id, ",.:\"")
}
