package pgwire

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"sallyport/internal/gateway"
)

func TestSimpleAndExtendedProtocol(t *testing.T) {
	d := open(t, Options{})
	w := d.dial(t).login(nil)
	if got := w.send(query("SELECT 1")).until('Z'); got != "TDCZ" {
		t.Errorf("simple: %s", got)
	}
	w.send(encode(t, &pgproto3.Parse{Name: "s", Query: "SELECT $1", ParameterOIDs: []uint32{25}},
		&pgproto3.Bind{DestinationPortal: "p", PreparedStatement: "s", Parameters: [][]byte{[]byte("x")}},
		&pgproto3.Describe{ObjectType: 'P', Name: "p"}, &pgproto3.Execute{Portal: "p", MaxRows: 5},
		&pgproto3.Close{ObjectType: 'P', Name: "p"}, &pgproto3.Sync{}))
	if got := w.until('Z'); got != "12TDC3Z" {
		t.Errorf("extended: %s", got)
	}
	if got := d.core.lastBurst(); got != "PBDECS" {
		t.Errorf("burst %s: the whole pipeline in one Do was wanted", got)
	}
	if got := w.send(encode(t, &pgproto3.Parse{Query: "ERR"}, &pgproto3.Execute{}, &pgproto3.Execute{}, &pgproto3.Sync{}), query("SELECT 2")).until('Z'); got != "1EZ" {
		t.Errorf("after an error: %s", got)
	}
	if got := w.until('Z'); got != "TDCZ" {
		t.Errorf("the query behind it: %s", got)
	}
}

// A burst that does not end in Sync is answered as far as it can be; nothing waits for the Sync.
func TestAnswersDoNotWaitForSync(t *testing.T) {
	d := open(t, Options{})
	w := d.dial(t).login(nil)
	w.send(encode(t, &pgproto3.Parse{Name: "s", Query: "SELECT 1"}, &pgproto3.Flush{}))
	if got := w.until('1'); got != "1" {
		t.Errorf("got %s", got)
	}
	w.send(encode(t, &pgproto3.Sync{}))
	if got := w.until('Z'); got != "Z" {
		t.Errorf("got %s", got)
	}
}

// Messages may arrive cut anywhere.
func TestMessagesCutAnywhere(t *testing.T) {
	d := open(t, Options{})
	w := d.dial(t).login(nil)
	stream := append(query("ECHO "+strings.Repeat("x", 50)), encode(t, &pgproto3.Parse{Query: "SELECT 1"}, &pgproto3.Execute{}, &pgproto3.Sync{})...)
	for at := 1; at < len(stream); at++ {
		w.send(stream[:at])
		if at%7 == 0 {
			time.Sleep(time.Millisecond)
		}
		w.send(stream[at:])
		if got := w.until('Z') + w.until('Z'); got != "TDCZ1DCZ" {
			t.Fatalf("cut at %d: %s", at, got)
		}
	}
}

func TestMessagesByteByByte(t *testing.T) {
	d := open(t, Options{})
	w := d.dial(t).login(nil)
	for _, b := range query("SELECT 1") {
		w.send([]byte{b})
		time.Sleep(100 * time.Microsecond)
	}
	if got := w.until('Z'); got != "TDCZ" {
		t.Errorf("got %s", got)
	}
}

func TestLargeMessages(t *testing.T) {
	d := open(t, Options{MaxMessage: 4 << 20})
	w := d.dial(t).login(nil)
	for _, n := range []int{bufferSize - 10, bufferSize, bufferSize + 1, 1 << 20, 4<<20 - 20} {
		text := strings.Repeat("y", n)
		go w.Write(append(query("SELECT 0"), query("ECHO "+text)...)) // the answers come while we send
		w.until('Z')
		w.until('T')
		row, ok := w.next().(*pgproto3.DataRow)
		if !ok || string(row.Values[0]) != text {
			t.Fatalf("%d bytes did not come back whole", n)
		}
		w.until('Z')
	}
	if got := w.send(query("SELECT 1")).until('Z'); got != "TDCZ" {
		t.Errorf("got %s", got)
	}
}

func TestOversizeIsRefusedUnbuffered(t *testing.T) {
	d := open(t, Options{})
	w := d.dial(t).login(nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const size = 200 << 20
	sent := make(chan error, 1)
	go func() {
		header := binary.BigEndian.AppendUint32([]byte{'Q'}, size)
		_, err := io.Copy(w.Conn, io.MultiReader(bytes.NewReader(header), io.LimitReader(zeros{}, size-4)))
		sent <- err
	}()
	e := w.expectFatalOnly("54000")
	if !strings.Contains(e.Message, "67108864") || e.Hint == "" {
		t.Errorf("message %q, hint %q", e.Message, e.Hint)
	}
	if err := <-sent; err != nil {
		t.Errorf("the client could not finish sending: %v", err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
		t.Errorf("%d bytes were allocated for a refused message", got)
	}
	w.Close()
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// A client that announces much and sends little must not cost much.
func TestAnnouncedSizeCostsNothing(t *testing.T) {
	d := open(t, Options{})
	var before, after runtime.MemStats
	w := d.dial(t).login(nil)
	runtime.ReadMemStats(&before)
	w.send(binary.BigEndian.AppendUint32([]byte{'Q'}, 60<<20), []byte("SELECT"))
	time.Sleep(20 * time.Millisecond)
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("%d bytes were allocated", got)
	}
}

func TestBudgetForLargeMessages(t *testing.T) {
	d := open(t, Options{MaxBuffered: 400 << 10})
	one, two := d.dial(t).login(nil), d.dial(t).login(nil)
	half := query("ECHO " + strings.Repeat("x", 200<<10))
	one.send(half[:150<<10])
	eventually(t, "the first holds budget", func() bool { return d.budget.Load() < 200<<10 })
	two.send(half[:150<<10])
	two.expectFatalOnly("53200")
	two.Close()
	if got := one.send(half[150<<10:]).until('Z'); got != "TDCZ" {
		t.Errorf("got %s", got)
	}
}

// Each line is something that a client may send after log-in and that ends the session.
func TestProtocolViolations(t *testing.T) {
	d := open(t, Options{MaxMessage: 1 << 20})
	for name, c := range map[string]struct {
		bytes []byte
		code  string
	}{
		"unknown_type":          {[]byte{'?', 0, 0, 0, 4}, "08P01"},
		"type_zero":             {[]byte{0, 0, 0, 0, 8, 0, 3, 0, 0}, "08P01"},
		"password_after_login":  {[]byte{'p', 0, 0, 0, 5, 0}, "08P01"},
		"backend_message":       {[]byte{'Z', 0, 0, 0, 5, 'I'}, "08P01"},
		"startup_again":         {startupPacket(version30, "user", "x"), "08P01"},
		"length_3":              {[]byte{'Q', 0, 0, 0, 3}, "08P01"},
		"length_negative":       {[]byte{'Q', 255, 255, 255, 255}, "54000"},
		"query_too_long":        {[]byte{'Q', 0, 0x20, 0, 0}, "54000"},
		"small_message_large":   {[]byte{'S', 0, 0, 0x40, 0}, "54000"},
		"query_unterminated":    {[]byte{'Q', 0, 0, 0, 5, 'x'}, "08P01"},
		"query_empty_body":      {[]byte{'Q', 0, 0, 0, 4}, "08P01"},
		"query_with_rest":       {append([]byte{'Q', 0, 0, 0, 15}, "SELECT 1\x00; x"...)[:16], "08P01"},
		"parse_short":           {append([]byte{'P', 0, 0, 0, 7}, "\x00x\x00"...), "08P01"},
		"parse_counts_lie":      {append([]byte{'P', 0, 0, 0, 9}, "\x00x\x00\x00\x05"...), "08P01"},
		"bind_without_names":    {append([]byte{'B', 0, 0, 0, 7}, "abc"...), "08P01"},
		"describe_other_target": {[]byte{'D', 0, 0, 0, 6, 'X', 0}, "08P01"},
		"close_without_target":  {[]byte{'C', 0, 0, 0, 4}, "08P01"},
		"execute_short":         {[]byte{'E', 0, 0, 0, 7, 0, 0, 0}, "08P01"},
		"sync_with_body":        {[]byte{'S', 0, 0, 0, 5, 0}, "08P01"},
		"copyfail_unterminated": {[]byte{'f', 0, 0, 0, 5, 'x'}, "08P01"},
	} {
		t.Run(name, func(t *testing.T) {
			w := d.dial(t).login(nil)
			w.send(query("SELECT 1"), c.bytes) // what came before is answered
			if got := w.until('Z'); got != "TDCZ" {
				t.Errorf("before: %s", got)
			}
			w.expectFatal(c.code)
		})
	}
}

func TestTruncatedMessageThenGone(t *testing.T) {
	d := open(t, Options{})
	w := d.dial(t).login(nil)
	w.send(query("SELECT 1")[:8]).Close()
	eventually(t, "the session ends", func() bool { return d.core.sessions() == 0 })
}

func TestFunctionCallIsRefusedInItsTurn(t *testing.T) {
	d := open(t, Options{})
	w := d.dial(t).login(nil)
	call := encode(t, &pgproto3.FunctionCall{Function: 1})
	for _, c := range []struct{ before, status string }{{"SELECT 1", "I"}, {"BEGIN", "T"}, {"ERR", "E"}} {
		w.send(query(c.before), call, query("SELECT 3"))
		w.until('Z')
		e, ok := w.next().(*pgproto3.ErrorResponse)
		if !ok || e.Severity != "ERROR" || e.Code != "0A000" || e.Hint == "" {
			t.Fatalf("got %+v", e)
		}
		if z, ok := w.next().(*pgproto3.ReadyForQuery); !ok || string(z.TxStatus) != c.status {
			t.Errorf("after %s: status %c, want %s", c.before, z.TxStatus, c.status)
		}
		w.until('Z')
	}
	w.send(encode(t, &pgproto3.Parse{Query: "SELECT 1"}), call).expectFatal("0A000")
}

func TestCopyIn(t *testing.T) {
	d := open(t, Options{})
	w := d.dial(t).login(nil)
	w.send(query("COPYIN")).until('G')
	for range 3 {
		w.send(encode(t, &pgproto3.CopyData{Data: make([]byte, 100<<10)}))
	}
	w.send(encode(t, &pgproto3.CopyDone{}))
	if c, ok := w.next().(*pgproto3.CommandComplete); !ok || string(c.CommandTag) != "COPY 307200" {
		t.Errorf("got %+v", c)
	}
	w.until('Z')
	w.send(encode(t, &pgproto3.CopyData{Data: []byte("stray")}, &pgproto3.CopyFail{Message: "stray"}), query("SELECT 1"))
	if got := w.until('Z'); got != "TDCZ" {
		t.Errorf("stray COPY messages: %s", got)
	}
}

func TestEndsOfASession(t *testing.T) {
	d := open(t, Options{})
	t.Run("by_the_core", func(t *testing.T) {
		e := d.dial(t).login(nil).send(query("END")).expectFatal("57P01")
		if e.Message != "over" {
			t.Errorf("the core's last word was %q", e.Message)
		}
	})
	t.Run("by_an_internal_error", func(t *testing.T) {
		e := d.dial(t).login(nil).send(query("BROKEN")).expectFatal("XX000")
		if strings.Contains(e.Message+e.Hint, "secret") {
			t.Error("the operator's part reached the client")
		}
		if !strings.Contains(d.logs.String(), "secret detail") {
			t.Error("the operator did not get his part")
		}
	})
	t.Run("by_a_panic", func(t *testing.T) {
		other := d.dial(t).login(nil)
		d.dial(t).login(nil).send(query("PANIC")).expectFatal("XX000")
		if got := other.send(query("SELECT 1")).until('Z'); got != "TDCZ" {
			t.Errorf("another session: %s", got)
		}
	})
	t.Run("by_terminate", func(t *testing.T) {
		d.dial(t).login(nil).send(query("SELECT 1")[:0], encode(t, &pgproto3.Terminate{})).expectEnd()
	})
	eventually(t, "all but one session end", func() bool { return d.core.sessions() <= 1 })
}

func TestStatementsAndSecretsStayOutOfTheLog(t *testing.T) {
	d := open(t, Options{})
	w := d.dial(t).login(map[string]string{"options": `-c sallyport.reason=canary-reason`})
	w.send(query("ECHO canary-statement")).until('Z')
	w.send(query("BROKEN canary-statement")).expectFatal("XX000")
	if l := d.logs.String(); strings.Contains(l, "canary") || strings.Contains(l, testPassword) {
		t.Errorf("log: %s", l)
	}
}

// PostgreSQL looks at 63 bytes of a name. If the core saw more, two names of a client could be one behind it.
func TestNamesAreCutAsTheServerCutsThem(t *testing.T) {
	long := strings.Repeat("n", 70)
	var dec decoder
	for _, m := range [][]byte{
		encode(t, &pgproto3.Parse{Name: long}),
		encode(t, &pgproto3.Bind{PreparedStatement: long, DestinationPortal: long}),
		encode(t, &pgproto3.Describe{ObjectType: 'S', Name: long}),
		encode(t, &pgproto3.Close{ObjectType: 'P', Name: long}),
		encode(t, &pgproto3.Execute{Portal: long}),
	} {
		var op gateway.Op
		if !dec.decode(m, &op) {
			t.Fatalf("%c not decoded", m[0])
		}
		for _, name := range []string{op.Name, op.Portal} {
			if name != "" && name != long[:63] {
				t.Errorf("%c: name of %d bytes", m[0], len(name))
			}
		}
	}
}

func (f *fakeCore) lastBurst() (s string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range f.bursts[len(f.bursts)-1] {
		s += string(rune(k))
	}
	return s
}

// expectFatalOnly is expectFatal without waiting for the end, for a client that is still sending.
func (w *wire) expectFatalOnly(code string) *pgproto3.ErrorResponse {
	w.t.Helper()
	e, ok := w.next().(*pgproto3.ErrorResponse)
	if !ok || e.Severity != "FATAL" || e.Code != code {
		w.t.Fatalf("got %+v, want FATAL %s", e, code)
	}
	return e
}

func TestServeOnlyOnce(t *testing.T) {
	d := open(t, Options{})
	d.dial(t).login(nil)
	if err := d.Serve(context.Background(), nopListener{}); err != errServed {
		t.Errorf("got %v", err)
	}
}
