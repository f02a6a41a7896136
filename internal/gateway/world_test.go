package gateway

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/audit"
	"sallyport/internal/access"
	"sallyport/internal/identity"
	"sallyport/internal/pgframe"
	"sallyport/internal/testdb"
)

const testSchema = `
create table customers(id int primary key, name text, email text, ssn text, notes text, region text);
insert into customers select g, 'n'||g, 'u'||g||'@example.com', lpad((g*7919)::text, 9, '0'),
  case when g = 3 then 'call +1 415 555 2671 or mail me@secret.example.org' else 'ok' end, 'r'||g%4 from generate_series(1,200) g;
create table orders(id int primary key, customer_id int, amount numeric);
insert into orders select g, g%200+1, g from generate_series(1,5000) g;
create table secrets(id int, v text);`

const testPolicy = `
@id("agents") @rows("100") permit (principal in Group::"agents", action in [Action::"connect", Action::"read"], resource in Connection::"shop");
@id("agents-secrets") forbid (principal in Group::"agents", action, resource == Table::"shop.public.secrets");
@id("writers") permit (principal in Group::"writers", action in [Action::"connect", Action::"read", Action::"write"], resource in Connection::"shop");
@id("light") @bytes("10000B") permit (principal in Group::"light", action in [Action::"connect", Action::"read"], resource in Connection::"shop");
@id("waiters") @lock_timeout("400ms") permit (principal in Group::"waiters", action in [Action::"connect", Action::"read"], resource in Connection::"shop");
@id("pausers") @idle_timeout("300ms") permit (principal in Group::"pausers", action in [Action::"connect", Action::"read", Action::"write", Action::"notify"], resource in Connection::"shop");
@id("many") @concurrent("2") @sessions("12") permit (principal in Group::"many", action in [Action::"connect", Action::"read"], resource in Connection::"shop");
@id("thrifty") @cost("5000") permit (principal in Group::"thrifty", action in [Action::"connect", Action::"read", Action::"write", Action::"ddl"], resource in Connection::"shop");
@id("thrifty-raw") permit (principal == User::"thriftyraw", action == Action::"reveal", resource);
@id("slow") @timeout("300ms") permit (principal in Group::"slow", action in [Action::"connect", Action::"read"], resource in Connection::"shop");
@id("reasoned") @reason("required") permit (principal in Group::"reasoned", action in [Action::"connect", Action::"read"], resource in Connection::"shop");
@id("dba") permit (principal in Group::"dba", action in [Action::"connect", Action::"unrestricted"], resource in Connection::"shop");
`

// world is a gateway in front of a database of its own.
type world struct {
	t   *testing.T
	gw  *Gateway
	dir string
	dsn string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), dsn: testdb.Shared(t).NewDatabase(t, testSchema)}
	w.open()
	t.Cleanup(func() { w.gw.Close() })
	return w
}

func (w *world) config() Config {
	var people []access.LocalPrincipal
	for name, groups := range map[string][]string{"agent": {"agents"}, "writer": {"writers"}, "slowly": {"slow"}, "dba": {"dba"}, "why": {"reasoned"}, "nobody": nil, "lightly": {"light"},
		"waiter": {"waiters"}, "pauser": {"pausers"}, "many": {"many"}, "thrifty": {"thrifty"}, "thriftyraw": {"thrifty"}} {
		people = append(people, access.LocalPrincipal{Name: name, Kind: access.Human, Groups: groups, Secret: identity.HashPassword("pw-" + name)})
	}
	return Config{DataDir: w.dir, Connections: []access.Connection{{Name: "shop", Driver: "postgres", DSN: w.dsn}}, Principals: people,
		Labels:   []access.LabelRule{{Label: "pii.email", Columns: []string{"*.*.email"}}, {Label: "pii.ssn", Columns: []string{"*.*.ssn"}}},
		Masks:    []access.Mask{{Label: "pii.email", Transform: "token"}, {Label: "pii.ssn", Transform: "redact"}},
		Policies: []PolicyFile{{Name: "test.cedar", Text: testPolicy}}}
}

func (w *world) open() {
	w.t.Helper()
	gw, err := Open(context.Background(), w.config())
	if err != nil {
		w.t.Fatal(err)
	}
	w.gw = gw
}

func (w *world) login(name string) *Session {
	w.t.Helper()
	s, err := w.gw.Connect(context.Background(), Login{Door: access.DoorPGWire, Connection: "shop", Credentials: access.Password{User: name, Secret: "pw-" + name}})
	if err != nil {
		w.t.Fatalf("%s cannot connect: %v", name, err)
	}
	return s
}

// until waits until something is so: for an event, with a limit that no machine is too slow for.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// untilServer waits until a condition over pg_stat_activity holds of some of the server's processes, or of none.
func (w *world) untilServer(condition string, some bool) {
	w.t.Helper()
	conn, err := pgx.Connect(context.Background(), w.dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	until(w.t, fmt.Sprintf("%s: %v", condition, some), func() (is bool) {
		err := conn.QueryRow(context.Background(), "select exists (select from pg_stat_activity where pid <> pg_backend_pid() and "+condition+")").Scan(&is)
		return err == nil && is == some
	})
}

// untilRuns waits until the server works on a statement of s that has a part.
func (w *world) untilRuns(s *Session, part string) {
	w.t.Helper()
	w.untilServer(fmt.Sprintf("pid = %d and state = 'active' and query like '%%%s%%'", s.up.PID, part), true)
}

// untilForgotten waits until the server's process for s has ended, and with it everything that it counts of what it did.
func (w *world) untilForgotten(s *Session) {
	w.t.Helper()
	w.untilServer(fmt.Sprintf("pid = %d", s.up.PID), false)
}

// answer is what came back, frame by frame.
type answer struct {
	rows    [][]string
	tags    []string
	errs    []string // SQLSTATE and message
	hints   []string // of errs
	notices []string
	warned  bool   // the last notice is a warning
	types   string // frame types in order
	tx      byte
}

func (a *answer) Release(frames []byte) error {
	for len(frames) > 0 {
		f, rest, _, err := pgframe.Next(frames)
		if err != nil || f.Raw == nil {
			return fmt.Errorf("not whole frames: %v", err)
		}
		frames = rest
		a.types += string(f.Type)
		switch f.Type {
		case 'D':
			d := decoder{res: &Result{}}
			d.row(f.Body())
			var row []string
			for _, v := range d.res.Rows[0] {
				if v == nil {
					row = append(row, "NULL")
				} else {
					row = append(row, *v)
				}
			}
			a.rows = append(a.rows, row)
		case 'd':
			a.rows = append(a.rows, []string{strings.TrimSuffix(string(f.Body()), "\n")})
		case 'C':
			tag, _, _ := pgframe.CString(f.Body())
			a.tags = append(a.tags, tag)
		case 'E':
			fs := pgframe.Fields(f.Body())
			a.errs = append(a.errs, field(fs, 'C')+" "+field(fs, 'M')+" "+field(fs, 'D'))
			a.hints = append(a.hints, field(fs, 'H'))
		case 'N':
			a.notices = append(a.notices, field(pgframe.Fields(f.Body()), 'M'))
			a.warned = field(pgframe.Fields(f.Body()), 'S') == "WARNING"
		case 'Z':
			a.tx = f.Body()[0]
		}
	}
	return nil
}

func (w *world) do(s *Session, ops ...Op) *answer {
	w.t.Helper()
	a := &answer{}
	if err := s.Do(context.Background(), ops, a); err != nil {
		w.t.Fatalf("Do: %v (errors %v)", err, a.errs)
	}
	return a
}

func (w *world) query(s *Session, sql string) *answer {
	w.t.Helper()
	return w.do(s, Op{Kind: OpQuery, SQL: sql})
}

// pipeline is the extended protocol's usual burst for one statement.
func pipeline(sql string, args ...string) []Op {
	return []Op{{Kind: OpParse, SQL: sql}, {Kind: OpBind, Raw: bindText(args)}, {Kind: OpDescribe, Target: 'P'}, {Kind: OpExecute}, {Kind: OpSync}}
}

func (w *world) records() []*access.Record {
	w.t.Helper()
	var out []*access.Record
	if err := audit.Read(w.dir+"/log", func(r *access.Record) error { c := *r; out = append(out, &c); return nil }); err != nil {
		w.t.Fatal(err)
	}
	return out
}

func wantError(t *testing.T, a *answer, code string) {
	t.Helper()
	if len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], code) {
		t.Errorf("errors %q, want one with %s (rows %v)", a.errs, code, a.rows)
	}
}

func wantNoError(t *testing.T, a *answer) {
	t.Helper()
	if len(a.errs) > 0 {
		t.Fatalf("unexpected errors %q", a.errs)
	}
}
