package attack

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// script is an attack by protocol messages rather than by a statement (THREATS.md, "Identity and doors").
type script struct {
	name   string
	params map[string]string                    // of the startup packet
	send   func(w *world) []byte                // sent at once after log-in
	dial   func(w *world, addr string) []string // instead: on a bare connection
}

func frames(messages ...pgproto3.FrontendMessage) func(*world) []byte {
	return func(*world) []byte {
		var b []byte
		for _, m := range messages {
			b, _ = m.Encode(b)
		}
		return b
	}
}

func query(sql string) func(*world) []byte { return frames(&pgproto3.Query{String: sql}) }

// call is a FunctionCall message.
func call(function string, args ...string) func(*world) []byte {
	return func(w *world) []byte {
		var oid uint32
		if err := w.direct.QueryRow(context.Background(), "select $1::regprocedure::oid", function).Scan(&oid); err != nil {
			return nil
		}
		m := &pgproto3.FunctionCall{Function: oid, ArgFormatCodes: []uint16{0}}
		for _, a := range args {
			m.Arguments = append(m.Arguments, []byte(a))
		}
		b, _ := m.Encode(nil)
		return b
	}
}

// frame is any message.
func frame(kind byte, body string) []byte {
	b := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4))
	return append(b, body...)
}

func literally(parts ...[]byte) func(*world) []byte {
	return func(*world) []byte { return bytes.Join(parts, nil) }
}

var (
	drop    = &pgproto3.Query{String: "DELETE FROM spare"}
	sync    = &pgproto3.Sync{}
	bind    = &pgproto3.Bind{}
	execute = &pgproto3.Execute{}
)

func parse(name, sql string) *pgproto3.Parse { return &pgproto3.Parse{Name: name, Query: sql} }

var scripts = []script{
	{name: "option-role", params: map[string]string{"options": "-c role=bystander"}, send: query("SELECT 1")},
	{name: "option-replica", params: map[string]string{"options": "-c session_replication_role=replica"}, send: query("DELETE FROM spare")},
	{name: "option-path", params: map[string]string{"options": `-c search_path=evil,pg_catalog`}, send: query("SELECT lower('X')")},
	{name: "option-path-long", params: map[string]string{"options": `--search_path=evil,pg_catalog`}, send: query("SELECT * FROM victims")},
	{name: "option-scs", params: map[string]string{"options": "-c standard_conforming_strings=off"}, send: query(`SELECT 'a\'; DELETE FROM spare; --'`)},
	{name: "option-escaped", params: map[string]string{"options": `-c my.setting=a\ -c\ role=bystander`}, send: query("SELECT 1")},
	{name: "param-path", params: map[string]string{"search_path": "evil, pg_catalog"}, send: query("SELECT lower('X')")},
	{name: "param-role", params: map[string]string{"role": "bystander"}, send: query("SELECT 1")},
	{name: "param-scs", params: map[string]string{"standard_conforming_strings": "off"}, send: query(`SELECT 'a\'; DELETE FROM spare; --'`)},
	{name: "param-encoding", params: map[string]string{"client_encoding": "SJIS"}, send: literally(frame('Q', "SELECT '\x83\\'; DELETE FROM spare; --'\x00"))},
	{name: "param-preload", params: map[string]string{"local_preload_libraries": "auto_explain"}, send: query("SELECT 1")},
	{name: "replication", params: map[string]string{"replication": "database"}, send: query(`CREATE_REPLICATION_SLOT "raw1" LOGICAL "test_decoding"`)},
	{name: "replication-physical", params: map[string]string{"replication": "true"}, send: query(`CREATE_REPLICATION_SLOT "raw2" PHYSICAL`)},
	{name: "replication-sql", params: map[string]string{"replication": "database"}, send: query("DELETE FROM spare")},
	{name: "replication-none", send: query(`CREATE_REPLICATION_SLOT "raw3" PHYSICAL`)},
	{name: "call-nextval", send: call("nextval(regclass)", "counter")},
	{name: "call-touch", send: call("touch(text)", "x")},
	{name: "call-lo-unlink", send: call("lo_unlink(oid)", "4242")},
	{name: "call-lo-creat", send: call("lo_creat(integer)", "-1")},
	{name: "call-read-file", send: call("pg_read_file(text)", "canary.txt")},
	{name: "call-then-query", send: func(w *world) []byte {
		return append(call("touch(text)", "x")(w), frames(drop)(w)...)
	}},
	{name: "copy-data-alone", send: frames(&pgproto3.CopyData{Data: []byte("1\tx\n")}, &pgproto3.CopyDone{}, drop)},
	{name: "copy-done-alone", send: frames(&pgproto3.CopyDone{}, &pgproto3.CopyFail{Message: "x"}, drop)},
	{name: "copy-in", send: frames(&pgproto3.Query{String: "COPY sink FROM STDIN"}, &pgproto3.CopyData{Data: []byte("1\tx\n")}, &pgproto3.CopyDone{})},
	{name: "copy-in-extended", send: frames(parse("", "COPY sink FROM STDIN"), bind, execute, sync, &pgproto3.CopyData{Data: []byte("1\tx\n")}, &pgproto3.CopyDone{}, sync)},
	{name: "copy-in-columns", send: frames(&pgproto3.Query{String: "COPY trapped (id) FROM STDIN"}, &pgproto3.CopyData{Data: []byte("1\n")}, &pgproto3.CopyDone{})},
	{name: "copy-in-domain", send: frames(&pgproto3.Query{String: "COPY with_dom FROM STDIN"}, &pgproto3.CopyData{Data: []byte("1\tx\n")}, &pgproto3.CopyDone{})},
	{name: "extended", send: frames(parse("", "DELETE FROM spare"), bind, execute, sync)},
	{name: "extended-named", send: frames(parse("a", "DELETE FROM spare"), sync, &pgproto3.Bind{PreparedStatement: "a"}, execute, sync)},
	{name: "extended-no-sync", send: frames(parse("", "DELETE FROM spare"), bind, execute, &pgproto3.Flush{}, drop, sync)},
	{name: "extended-after-error", send: frames(parse("", "SELECT 1"), bind, parse("", "DELETE FROM spare"), bind, execute, sync)},
	{name: "extended-stale-portal", send: frames(parse("", "SELECT nextval('counter')"), sync, bind, execute, sync)},
	{name: "extended-reparse", send: frames(parse("a", "SELECT 1"), sync, &pgproto3.Close{ObjectType: 'S', Name: "a"}, parse("a", "DELETE FROM spare"), &pgproto3.Bind{PreparedStatement: "a"}, execute, sync)},
	{name: "extended-reparse-open", send: frames(parse("a", "SELECT 1"), parse("a", "DELETE FROM spare"), sync, &pgproto3.Bind{PreparedStatement: "a"}, execute, sync)},
	{name: "extended-sql-deallocate", send: frames(parse("a", "SELECT 1"), sync, &pgproto3.Query{String: "DEALLOCATE a; PREPARE a AS DELETE FROM spare"}, &pgproto3.Bind{PreparedStatement: "a"}, execute, sync)},
	{name: "extended-sql-execute", send: frames(parse("a", "DELETE FROM spare"), sync, &pgproto3.Query{String: "EXECUTE a"})},
	{name: "extended-two", send: frames(parse("", "SELECT 1; DELETE FROM spare"), bind, execute, sync)},
	{name: "extended-describe", send: frames(parse("", "SELECT touch_i('x')"), &pgproto3.Describe{ObjectType: 'S'}, sync)},
	{name: "extended-bind-plan", send: frames(parse("", "SELECT id FROM victims WHERE name = touch_i('x')"), bind, &pgproto3.Describe{ObjectType: 'P'}, sync)},
	{name: "extended-domain", send: frames(parse("", "SELECT $1::touch_dom"), &pgproto3.Bind{Parameters: [][]byte{[]byte("x")}}, execute, sync)},
	{name: "extended-domain-type", send: func(w *world) []byte {
		var oid uint32
		if err := w.direct.QueryRow(context.Background(), "select 'touch_dom'::regtype::oid").Scan(&oid); err != nil {
			return nil
		}
		return frames(&pgproto3.Parse{Query: "SELECT $1", ParameterOIDs: []uint32{oid}}, &pgproto3.Bind{Parameters: [][]byte{[]byte("x")}}, execute, sync)(w)
	}},
	{name: "extended-composite-type", send: func(w *world) []byte {
		var oid uint32
		if err := w.direct.QueryRow(context.Background(), "select 'touch_comp'::regtype::oid").Scan(&oid); err != nil {
			return nil
		}
		return frames(&pgproto3.Parse{Query: "SELECT $1 IS NULL", ParameterOIDs: []uint32{oid}}, &pgproto3.Bind{Parameters: [][]byte{[]byte("(1,x)")}}, execute, sync)(w)
	}},
	{name: "extended-range-type", send: func(w *world) []byte {
		var oid uint32
		if err := w.direct.QueryRow(context.Background(), "select 'touch_range'::regtype::oid").Scan(&oid); err != nil {
			return nil
		}
		return frames(&pgproto3.Parse{Query: "SELECT $1 IS NULL", ParameterOIDs: []uint32{oid}}, &pgproto3.Bind{Parameters: [][]byte{[]byte("[1,2]")}}, execute, sync)(w)
	}},
	{name: "query-with-nul", send: literally(frame('Q', "SELECT 1\x00DELETE FROM spare\x00"))},
	{name: "query-trailing", send: literally(frame('Q', "SELECT 1\x00\x00\x00Q"), frame('Q', "DELETE FROM spare\x00"))},
	{name: "query-unterminated", send: literally(frame('Q', "DELETE FROM spare"))},
	{name: "parse-trailing", send: literally(frame('P', "\x00SELECT 1\x00\x00\x00DELETE FROM spare\x00"), frame('B', "\x00\x00\x00\x00\x00\x00\x00\x00"), frame('E', "\x00\x00\x00\x00\x00"), frame('S', ""))},
	{name: "unknown-message", send: literally(frame('y', "x"), frame('Q', "DELETE FROM spare\x00"))},
	{name: "password-late", send: literally(frame('p', "postgres\x00"), frame('Q', "DELETE FROM spare\x00"))},
	{name: "length-lies", send: literally([]byte{'Q', 0, 0, 0, 4}, frame('Q', "DELETE FROM spare\x00"))},
	{name: "length-small", send: literally([]byte{'Q', 0, 0, 0, 1}, frame('Q', "DELETE FROM spare\x00"))},
	{name: "length-negative", send: literally([]byte{'Q', 0xff, 0xff, 0xff, 0xff}, frame('Q', "DELETE FROM spare\x00"))},
	{name: "before-login", dial: bare(func(w *world) []byte {
		return append(startup(attacker), frames(drop)(w)...)
	})},
	{name: "no-user", dial: bare(func(w *world) []byte { return append(startup(""), frames(drop)(w)...) })},
	{name: "upstream-user", dial: bare(func(w *world) []byte { return append(startup("postgres"), frames(drop)(w)...) })},
	{name: "ssl-twice", dial: bare(func(w *world) []byte {
		ask := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 8), 80877103)
		return bytes.Join([][]byte{ask, ask, startup(attacker), frames(drop)(w)}, nil)
	})},
	{name: "gss-then-query", dial: bare(func(w *world) []byte {
		ask := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 8), 80877104)
		return bytes.Join([][]byte{ask, startup(attacker), frames(drop)(w)}, nil)
	})},
	{name: "cancel-bystander", dial: bare(func(w *world) []byte {
		var all []byte
		for _, key := range []uint32{0, 1, 1 << 31} {
			all = binary.BigEndian.AppendUint32(all, 16)
			all = binary.BigEndian.AppendUint32(all, 80877102)
			all = binary.BigEndian.AppendUint32(all, uint32(w.bystanderPID))
			all = binary.BigEndian.AppendUint32(all, key)
		}
		return all
	})},
}

// startup is a startup packet of protocol 3.0.
func startup(user string) []byte {
	body := binary.BigEndian.AppendUint32(nil, 196608)
	body = append(body, "user\x00"+user+"\x00database\x00"+database+"\x00\x00"...)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)
}

// bare sends bytes on a connection that nobody logged in on.
func bare(send func(w *world) []byte) func(w *world, addr string) []string {
	return func(w *world, addr string) []string {
		conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
		if err != nil {
			return nil
		}
		defer conn.Close()
		conn.Write(send(w))
		return []string{string(listen(conn))}
	}
}

// listen reads until nothing has come for a while.
func listen(conn net.Conn) []byte {
	var all []byte
	b := make([]byte, 1<<16)
	for {
		conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		n, err := conn.Read(b)
		all = append(all, b[:n]...)
		if err != nil {
			return all
		}
	}
}

// play runs one script and gives what came back as it is.
func (s script) play(ctx context.Context, w *world, principal string) ([]string, error) {
	if s.dial != nil {
		return s.dial(w, w.gateway.PGAddr), nil
	}
	cfg, err := pgconn.ParseConfig(w.gateway.DSN(principal, secret, database))
	if err != nil {
		return nil, err
	}
	for k, v := range s.params {
		cfg.RuntimeParams[k] = v
	}
	pc, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return []string{err.Error()}, nil // refused at the door: that is an answer
	}
	h, err := pc.Hijack()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	defer h.Conn.Close()
	h.Conn.Write(s.send(w))
	return []string{string(listen(h.Conn))}, nil
}

// attack wraps a script for listings.
func (s script) attack() Attack {
	return Attack{Family: "doors", Name: s.name, Kind: 's', Steps: []string{strings.TrimSpace(fmt.Sprint("raw messages ", s.params))}}
}
