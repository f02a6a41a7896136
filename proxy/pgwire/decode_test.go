package pgwire

import (
	"bytes"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

func TestOptions(t *testing.T) {
	for text, want := range map[string][]option{
		"":                                nil,
		"  \t ":                           nil,
		"-c a=b":                          {{"a", "b"}},
		"-ca=b":                           {{"a", "b"}},
		"--a=b":                           {{"a", "b"}},
		"--work-mem=4MB":                  {{"work_mem", "4MB"}},
		"-c A.B=c -c x=y":                 {{"a.b", "c"}, {"x", "y"}},
		`-c r=two\ words`:                 {{"r", "two words"}},
		`-c r=back\\slash`:                {{"r", `back\slash`}},
		`-c r=a\`:                         {{"r", "a"}},
		"-c a=":                           {{"a", ""}},
		"-c a=b=c":                        {{"a", "b=c"}},
		"-c a=1 -c b=2 -c A=3":            {{"b", "2"}, {"a", "3"}},
		"-c search_path=\"$user\",public": {{"search_path", `"$user",public`}},
	} {
		got, err := parseOptions(text)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"-c", "-c a", "-c =b", "--", "-", "x", "-F", "--a", "a=b", "-c a=b junk", "-c a=b --"} {
		if got, err := parseOptions(text); err == nil {
			t.Errorf("%q was accepted: %v", text, got)
		}
	}
}

func TestReplicationValues(t *testing.T) {
	for _, v := range []string{"false", "f", "FALSE", "no", "n", "off", "of", "0"} {
		if err := refuseReplication(v); err != nil {
			t.Errorf("%q: %v", v, err)
		}
	}
	for _, v := range []string{"", "true", "on", "1", "database", "yes", "o", "falsee", "nope", "2", "\x00"} {
		if err := refuseReplication(v); err == nil {
			t.Errorf("%q was accepted", v)
		}
	}
}

func TestErrorsKeepTheOperatorsPart(t *testing.T) {
	e := &access.Error{Kind: access.Denied, Message: "no", Hint: "ask", Position: 7, Err: bytes.ErrTooLarge}
	var got pgproto3.ErrorResponse
	if err := got.Decode(appendError(nil, "ERROR", e)[5:]); err != nil {
		t.Fatal(err)
	}
	want := pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "42501", Message: "no", Hint: "ask", Position: 7}
	if diff := cmp.Diff(want, got, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
		t.Error(diff)
	}
	for kind := access.Internal; kind <= access.Unavailable; kind++ {
		if code := stateOf(&access.Error{Kind: kind}); len(code) != 5 {
			t.Errorf("%v: SQLSTATE %q", kind, code)
		}
	}
}

func TestReadyForQueryIsSeenWhereItIs(t *testing.T) {
	z := []byte{'Z', 0, 0, 0, 5, 'T'}
	row := append([]byte{'D', 0, 0, 0, 20, 0, 1, 0, 0, 0, 10, 1, 2, 3, 4}, z...) // a row that ends like one
	for name, c := range map[string]struct {
		frames []byte
		synced bool
	}{
		"alone":              {z, true},
		"after_a_row":        {slices.Concat(row, z), true},
		"row_that_looks_so":  {row, false},
		"row_after_it":       {slices.Concat(z, row), false},
		"short":              {[]byte{'1', 0, 0, 0, 4}, false},
		"broken_length":      {append([]byte{'D', 0, 0, 0, 0}, z...), false},
		"length_past_it_all": {append([]byte{'D', 127, 0, 0, 0}, z...), false},
	} {
		s := &sink{tx: 'I'}
		s.observe(c.frames)
		if s.synced != c.synced || c.synced != (s.tx == 'T') {
			t.Errorf("%s: synced %v, status %c", name, s.synced, s.tx)
		}
	}
}

// fromOracle is what pgproto3 makes of a frame, as an operation, or ok=false.
func fromOracle(frame []byte) (op gateway.Op, ok bool) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go client.Write(frame)
	m, err := pgproto3.NewBackend(server, server).Receive()
	if err != nil {
		return op, false
	}
	op.Kind, op.Raw = gateway.OpKind(frame[0]), frame
	cut := func(s string) string { return s[:min(len(s), maxName)] }
	target := func(object byte, name string) {
		if op.Target = object; object == 'S' {
			op.Name = cut(name)
		} else {
			op.Portal = cut(name)
		}
	}
	switch m := m.(type) {
	case *pgproto3.Query:
		op.SQL = m.String
	case *pgproto3.Parse:
		op.Name, op.SQL, op.ParamOIDs = cut(m.Name), m.Query, m.ParameterOIDs
	case *pgproto3.Bind:
		op.Portal, op.Name = cut(m.DestinationPortal), cut(m.PreparedStatement)
	case *pgproto3.Describe:
		target(m.ObjectType, m.Name)
	case *pgproto3.Close:
		target(m.ObjectType, m.Name)
	case *pgproto3.Execute:
		op.Portal, op.MaxRows = cut(m.Portal), int32(m.MaxRows)
	}
	return op, true
}

func TestDecodeAgainstOracle(t *testing.T) {
	for _, m := range []pgproto3.FrontendMessage{
		&pgproto3.Query{String: "SELECT 'ä'"}, &pgproto3.Query{},
		&pgproto3.Parse{Name: "n", Query: "SELECT $1", ParameterOIDs: []uint32{1, 1 << 31}}, &pgproto3.Parse{},
		&pgproto3.Bind{DestinationPortal: "p", PreparedStatement: "s", Parameters: [][]byte{nil, []byte("x")}, ResultFormatCodes: []int16{1}},
		&pgproto3.Describe{ObjectType: 'S', Name: "s"}, &pgproto3.Describe{ObjectType: 'P'},
		&pgproto3.Close{ObjectType: 'S'}, &pgproto3.Close{ObjectType: 'P', Name: strings.Repeat("x", 100)},
		&pgproto3.Execute{Portal: "p", MaxRows: 1<<32 - 1}, &pgproto3.Execute{},
		&pgproto3.Sync{}, &pgproto3.Flush{}, &pgproto3.CopyDone{}, &pgproto3.CopyData{Data: []byte("x")}, &pgproto3.CopyFail{Message: "m"},
	} {
		frame := encode(t, m)
		var dec decoder
		var got gateway.Op
		want, ok := fromOracle(frame)
		if !ok || !dec.decode(frame, &got) {
			t.Errorf("%T: not decoded", m)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%T: %s", m, diff)
		}
	}
}

// Whatever we take, pgproto3 takes for the same. We are the stricter one.
func FuzzDecode(f *testing.F) {
	for _, m := range []pgproto3.FrontendMessage{
		&pgproto3.Query{String: "SELECT 1"}, &pgproto3.Parse{Name: "n", Query: "q", ParameterOIDs: []uint32{25}},
		&pgproto3.Bind{Parameters: [][]byte{[]byte("x")}}, &pgproto3.Describe{ObjectType: 'S', Name: "s"},
		&pgproto3.Close{ObjectType: 'P'}, &pgproto3.Execute{MaxRows: 1}, &pgproto3.Sync{}, &pgproto3.CopyFail{Message: "m"},
	} {
		frame := encode(f, m)
		f.Add(frame[0], frame[5:])
	}
	f.Fuzz(func(t *testing.T, typ byte, body []byte) {
		frame := append([]byte{typ, 0, 0, 0, 0}, body...)
		frame[1], frame[2], frame[3], frame[4] = byte((len(body)+4)>>24), byte((len(body)+4)>>16), byte((len(body)+4)>>8), byte(len(body)+4)
		if maxOf(typ, 1<<20) == 0 || len(body) > 1<<16 || typ == 'X' || typ == 'F' {
			return
		}
		var dec decoder
		var got gateway.Op
		if !dec.decode(frame, &got) {
			return
		}
		want, ok := fromOracle(frame)
		if typ == 'B' && !ok {
			return // its counts are the core's to check
		}
		if !ok {
			t.Fatalf("%q was taken, pgproto3 refuses it", frame)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// No first bytes of a client may do more than be refused.
func FuzzStartup(f *testing.F) {
	f.Add(startupPacket(version30, "user", "u", "database", "d", "options", `-c a=b\ c`))
	f.Add(startupPacket(version32, "user", "u", "_pq_.x", "y", "client_encoding", "UTF8"))
	f.Add(startupPacket(version30, "user", "u", "replication", "database"))
	f.Add([]byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f})
	f.Add(cancelPacket(1, []byte{1, 2, 3, 4}))
	f.Fuzz(func(t *testing.T, b []byte) {
		body, need, err := cutStartup(b)
		if err != nil || body == nil {
			if need > maxStartup || need < 0 {
				t.Fatalf("asks for %d bytes", need)
			}
			return
		}
		if len(body)+4 != need || need > len(b) {
			t.Fatalf("cut %d bytes of %d, packet of %d", len(body), len(b), need)
		}
		decodeCancel(body)
		st, err := decodeStartup(body)
		if err != nil {
			if ae := access.AsError(err); ae.Kind == access.Internal || ae.Hint == "" || len(ae.Code) != 5 {
				t.Fatalf("poor refusal: %#v", ae)
			}
			return
		}
		var m pgproto3.StartupMessage
		if st.version == version30 || st.version == version32 {
			if err := m.Decode(body); err != nil {
				t.Fatalf("was taken, pgproto3 refuses it: %v", err)
			}
			if m.Parameters["user"] != st.user {
				t.Errorf("user %q, pgproto3 has %q", st.user, m.Parameters["user"])
			}
		}
		if st.user == "" || st.database == "" || st.version>>16 != 3 {
			t.Errorf("incomplete: %+v", st)
		}
		if v, ok := st.settings["client_encoding"]; ok && v != "UTF8" {
			t.Errorf("client_encoding %q", v)
		}
	})
}

// Whatever a client sends after log-in, the cut is whole messages from the start of it, in order.
func FuzzCut(f *testing.F) {
	f.Add(query("SELECT 1"))
	f.Add(encode(f, &pgproto3.Parse{Query: "q"}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{}, &pgproto3.Terminate{}))
	f.Add(encode(f, &pgproto3.Query{String: "a"}, &pgproto3.FunctionCall{}, &pgproto3.Query{String: "b"})[:20])
	srv := newServer(newFakeCore(), Options{MaxMessage: 1 << 16})
	f.Fuzz(func(t *testing.T, b []byte) {
		c := &conn{srv: srv, in: &reader{buf: b, w: len(b)}}
		cut := c.cut()
		at := 0
		for i, op := range c.ops {
			if op.Kind != gateway.OpKind(b[at]) || len(op.Raw) < 5 || &op.Raw[0] != &b[at] {
				t.Fatalf("operation %d is not the message at %d", i, at)
			}
			at += len(op.Raw)
		}
		if cut.then == functionCall {
			at += 1 + int(b[at+1])<<24 + int(b[at+2])<<16 + int(b[at+3])<<8 + int(b[at+4])
		}
		if at != cut.size || at > len(b) {
			t.Fatalf("took %d bytes, operations have %d, there were %d", cut.size, at, len(b))
		}
		if cut.need > 1<<16+1 || cut.need != 0 && cut.need <= len(b)-at {
			t.Fatalf("needs %d bytes of %d", cut.need, len(b)-at)
		}
		if (cut.then == stop) != (cut.err != nil) {
			t.Fatalf("stop without a reason: %+v", cut)
		}
	})
}
