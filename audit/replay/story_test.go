package replay

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
)

// dataRow makes a DataRow message; a nil value is NULL.
func dataRow(values ...any) []byte {
	body := binary.BigEndian.AppendUint16(nil, uint16(len(values)))
	for _, v := range values {
		text, ok := v.(string)
		if !ok {
			body = binary.BigEndian.AppendUint32(body, 1<<32-1)
			continue
		}
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(text))), text...)
	}
	return append(binary.BigEndian.AppendUint32([]byte{'D'}, uint32(len(body)+4)), body...)
}

// teller makes the records of one session after another, as the gateway would.
type teller struct {
	t    testing.TB
	recs []*access.Record
	seqs map[string]uint64
	at   time.Time
}

func newTeller(t testing.TB) *teller {
	return &teller{t: t, seqs: map[string]uint64{}, at: time.Date(2026, 11, 23, 14, 2, 11, 123e6, time.UTC)}
}

func (l *teller) plan(p access.PlanRecord) json.RawMessage {
	p.PolicyVersion = "4a7d1ed414474e4033ac29ccb8653d9b"
	b, err := json.Marshal(p)
	if err != nil {
		l.t.Fatal(err)
	}
	return b
}

// add gives a record its place, so long after the one before it.
func (l *teller) add(later time.Duration, session string, kind access.RecordKind, rec access.Record) *access.Record {
	l.at = l.at.Add(later)
	rec.Position, rec.Session, rec.Kind, rec.Time = uint64(len(l.recs)+1), session, kind, l.at
	if session != "" {
		l.seqs[session]++
		rec.Seq = l.seqs[session]
	}
	l.recs = append(l.recs, &rec)
	return &rec
}

// psql is a person at work: a write, an error, an answer that takes long, rows beside rows, a lunch, a lost connection.
func psql(t testing.TB) []*access.Record {
	l := newTeller(t)
	const s = "pg-81a0c4417e5d2b90"
	as := func(r access.Record) access.Record {
		r.Door, r.Connection, r.Principal = access.DoorPGWire, "shop", "erik"
		return r
	}
	writes := func(tag, rel string) json.RawMessage {
		return l.plan(access.PlanRecord{Class: access.ClassWrite, Tag: tag, Relations: []string{"write " + rel}, Effect: "allow", Policies: []string{"engineers-write"}})
	}
	l.add(0, s, access.RecordOpen, as(access.Record{Client: "127.0.0.1:53500 psql", Groups: []string{"engineers"}}))
	l.add(8*time.Second, s, access.RecordStatement, as(access.Record{
		SQL: "SELECT p.id,\n       p.name, p.price, p.note\n  FROM products p\n ORDER BY id",
		Plan: l.plan(access.PlanRecord{Class: access.ClassRead, Tag: "SELECT", Relations: []string{"read public.products"}, Effect: "allow",
			Policies: []string{"engineers-read"}, Obligations: &access.Obligations{Rows: 1000, Timeout: 10 * time.Second}}),
		Columns: []string{"id", "name", "price", "note"}, Rows: 5, Bytes: 214, Command: "SELECT 5", Micros: 1873, Digest: strings.Repeat("ab", 32), Detected: 1,
		Result: append(append(append(append(dataRow("1", "kettle", "39.90", nil), dataRow("17", "茶碗 (tea bowl)", "129.00", "call [phone] first")...),
			dataRow("18", "Zoe\u0301\x1b[2J\x1b]52;c;cm0gLXJmCg==\x07", "7.50", "🫖 ▒▒▒")...), dataRow("204", "ปลา", "-1.00", "a\u202etxt.exe")...), dataRow("205", "e"+strings.Repeat("\u0301", 40), "0.00", "")...)}))
	in := l.add(900*time.Millisecond, s, access.RecordIntent, as(access.Record{Reason: "OPS-231: mark as lost",
		SQL: "UPDATE orders SET status = 'lost' WHERE id = $1 RETURNING id, status", Params: []string{"1042"}, Plan: writes("UPDATE", "public.orders")}))
	l.add(38*time.Second, s, access.RecordOutcome, as(access.Record{Intent: in.Position, Rows: 1, Bytes: 25, Columns: []string{"id", "status"},
		Result: dataRow("\x00\x00\x04\x12", "lost"), Formats: []int16{1, 0}, Digest: strings.Repeat("0c", 32), Command: "UPDATE 1", Micros: 37_912_000}))
	l.add(1200*time.Millisecond, s, access.RecordRefused, as(access.Record{SQL: "TRUNCATE audit.events",
		Plan: l.plan(access.PlanRecord{Class: access.ClassWrite, Tag: "TRUNCATE", Relations: []string{"write audit.events"}, Effect: "deny"}),
		Code: "42501", Error: "writing audit.events is not permitted for erik", Hint: "ask for `write` on Table::\"shop.audit.events\""}))
	l.add(2*time.Second, s, access.RecordRefused, as(access.Record{SQL: "DELETE FROM carts",
		Plan: l.plan(access.PlanRecord{Class: access.ClassWrite, Tag: "DELETE", Relations: []string{"write public.carts"}, Effect: "review"}),
		Code: "42501", Error: "this statement needs approval by dba", Hint: "approvals are not available yet: ask for a policy without @review, or for somebody else to run it"}))
	in = l.add(47*time.Minute, s, access.RecordIntent, as(access.Record{SQL: "INSERT INTO orders (id) VALUES ('***')", Plan: writes("INSERT", "public.orders")}))
	l.add(402*time.Microsecond, s, access.RecordOutcome, as(access.Record{Intent: in.Position, Code: "23505", Error: "duplicate key value violates unique constraint \"orders_pkey\"", Micros: 402}))
	big := l.plan(access.PlanRecord{Class: access.ClassRead, Tag: "COPY", Relations: []string{"read public.events"}, Effect: "allow", Policies: []string{"engineers-read"}})
	l.add(1500*time.Millisecond, s, access.RecordRelease, as(access.Record{SQL: "COPY events TO STDOUT", Plan: big, Rows: 900, Bytes: 65536}))
	l.add(300*time.Millisecond, s, access.RecordRelease, as(access.Record{Rows: 15000, Bytes: 1048576}))
	l.add(300*time.Millisecond, s, access.RecordStatement, as(access.Record{SQL: "COPY events TO STDOUT", Plan: big, Rows: 41000, Bytes: 2871000, Result: []byte("d\x00\x00\x00\x0c1\tlogin\n"),
		Digest: strings.Repeat("77", 32), Command: "COPY 41000", Micros: 4_210_000}))
	l.add(time.Second, s, access.RecordIntent, as(access.Record{SQL: "DELETE FROM carts WHERE updated < now() - interval '90 days'", Plan: writes("DELETE", "public.carts")}))
	return l.recs
}

// agent is an agent's task over two databases at the same time, with masks of every kind.
func agent(t testing.TB) []*access.Record {
	l := newTeller(t)
	const shop, crm = "mcp-4f1c9a6be2d7403f", "mcp-77b1e0c2d9f54aa1"
	as := func(conn, reason string, r access.Record) access.Record {
		r.Door, r.Connection, r.Principal, r.Actor, r.Task, r.Reason = access.DoorMCP, conn, "ana", "support-agent", "task-7f3a", reason
		return r
	}
	l.add(0, "", access.RecordTask, access.Record{Door: access.DoorMCP, Principal: "ana", Actor: "support-agent", Task: "task-7f3a",
		Goal: "find out why order 1042 has not been delivered", Ticket: "OPS-231"})
	open := as("shop", "", access.Record{Behind: []string{"router"},
		Proof:  &access.Proof{Method: access.ByAccessToken, Issuer: "https://id.example", Subject: "8f2c", Client: "support-agent", Token: strings.Repeat("5a", 32), Issued: time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC), Expires: time.Date(2026, 11, 23, 14, 30, 0, 0, time.UTC)},
		Client: "127.0.0.1:53412 claude-desktop", Groups: []string{"agents", "support"}})
	open.Task = ""
	l.add(time.Second, shop, access.RecordOpen, open)
	l.add(700*time.Millisecond, shop, access.RecordStatement, as("shop", "the customer asks where order 1042 is; I need the name and the status", access.Record{
		SQL:    "SELECT c.id, c.name, upper(c.email) AS mail, c.phone, c.born, c.token, o.total FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.id = ANY($1)",
		Params: []string{"{1042,1043,1044}"},
		Plan: l.plan(access.PlanRecord{Class: access.ClassRead, Tag: "SELECT", Relations: []string{"read public.customers", "read public.orders"}, Effect: "allow", Compiled: true,
			Policies: []string{"support-reads-shop", "agents-state-a-reason"}, Obligations: &access.Obligations{Rows: 1000, Timeout: 10 * time.Second, Reason: true, Where: []string{"tenant_id = principal.tenant"}},
			Masks: []access.MaskApplied{{Column: "public.customers.email", Label: "pii.email", Transform: "partial email"}, {Column: "public.customers.phone", Label: "pii.phone", Transform: "redact"},
				{Column: "public.customers.born", Label: "pii.birth", Transform: "generalise decade"}, {Column: "public.customers.token", Label: "secret", Transform: "token"}},
			Outputs: [][]int{{}, {}, {0}, {1}, {2}, {3}, {}}}),
		Columns: []string{"id", "name", "mail", "phone", "born", "token", "total"}, Rows: 3, Bytes: 310, Command: "SELECT 3", Micros: 1873, Digest: strings.Repeat("ab", 32),
		Result: append(append(dataRow("17", "Ana Ruiz", "A***@EXAMPLE.COM", "***", "1980-01-01", "tok_4f1c9a6be2d7", "129.90"),
			dataRow("4", "王小明", "W***@EXAMPLE.CN", "***", nil, "tok_77b1e0c2d9f5", "7.00")...), dataRow("1288", "Zoë Quist", nil, nil, "1990-01-01", "tok_0a0a0a0a0a0a", "1024.50")...)}))
	in := l.add(1500*time.Millisecond, shop, access.RecordIntent, as("shop", "leave a note at the order", access.Record{SQL: "UPDATE orders SET note = 'asked' WHERE id = 1042",
		Plan: l.plan(access.PlanRecord{Class: access.ClassWrite, Tag: "UPDATE", Relations: []string{"write public.orders"}, Effect: "allow", Policies: []string{"support-notes"}})}))
	open.Connection = "crm"
	l.add(200*time.Millisecond, crm, access.RecordOpen, open)
	l.add(300*time.Millisecond, crm, access.RecordStatement, as("crm", "is there a complaint about order 1042 already?", access.Record{
		SQL:     "SELECT subject, email FROM tickets WHERE order_id = 1042",
		Plan:    l.plan(access.PlanRecord{Class: access.ClassRead, Tag: "SELECT", Relations: []string{"read public.tickets"}, Effect: "allow", Policies: []string{"support-reads-crm"}, Masks: []access.MaskApplied{{Column: "public.tickets.email", Label: "pii.email", Transform: "null"}}}),
		Columns: []string{"subject", "email"}, Rows: 1, Bytes: 40, Command: "SELECT 1", Micros: 650, Digest: strings.Repeat("cd", 32), Result: dataRow("where is my kettle?", nil)}))
	l.add(400*time.Millisecond, shop, access.RecordOutcome, as("shop", "", access.Record{Intent: in.Position, Command: "UPDATE 1", Rows: 0, Micros: 890_000}))
	l.add(11*time.Second, shop, access.RecordRefused, as("shop", "need to see what support staff earn", access.Record{SQL: "SELECT * FROM hr.salaries",
		Plan: l.plan(access.PlanRecord{Class: access.ClassRead, Tag: "SELECT", Relations: []string{"read hr.salaries"}, Effect: "deny"}),
		Code: "42501", Error: "reading hr.salaries is not permitted for support-agent", Hint: "ask for `read` on Table::\"shop.hr.salaries\", or work with public.staff"}))
	l.add(time.Second, shop, access.RecordClose, as("shop", "", access.Record{Rows: 6}))
	l.add(0, crm, access.RecordClose, as("crm", "", access.Record{Rows: 3, Error: "idle for 2 min"}))
	return l.recs
}
