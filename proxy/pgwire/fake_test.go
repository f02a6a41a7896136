package pgwire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/xdg-go/scram"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/loop"
	"sallyport/internal/pgframe"
)

const (
	testUser     = "ada"
	testPassword = "correct horse"
	testConn     = "shop"
)

// fakeCore is a core with one user and one connection. Its sessions answer a few statements as
// PostgreSQL would; see fakeSession.one.
type fakeCore struct {
	pids      atomic.Uint32
	refused   atomic.Uint32 // log-ins without proof
	mu        sync.Mutex
	logins    []gateway.Login
	cancelled []uint32 // PIDs
	open      map[uint32]*fakeSession
	bursts    [][]gateway.OpKind

	people    *identity.Store // for certificates and tokens
	providers []access.Provider
}

func newFakeCore() *fakeCore { return &fakeCore{open: map[uint32]*fakeSession{}} }

type fakeExchange struct {
	access.Conversation
	conv *scram.ServerConversation
}

var fakeKeys = func() scram.StoredCredentials {
	c, _ := scram.SHA256.NewClient("", testPassword, "")
	keys, _ := c.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "0123456789abcdef", Iters: 4096})
	return keys
}()

func (f *fakeCore) SCRAM(user string) gateway.Exchange {
	keys := fakeKeys
	if user != testUser {
		keys.StoredKey = make([]byte, 32)
	}
	srv, _ := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return keys, nil })
	return &fakeExchange{conv: srv.NewConversation()}
}

func (x *fakeExchange) Step(client string) (string, bool, error) {
	answer, err := x.conv.Step(client)
	if err != nil {
		return "", false, &access.Error{Kind: access.Denied, Code: "28P01", Message: "password authentication failed", Hint: "ask", Err: err}
	}
	return answer, x.conv.Done(), nil
}

func (f *fakeCore) Providers() []access.Provider {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.providers
}

func (f *fakeCore) Verify(ctx context.Context, c access.Credentials) (access.Principal, error) {
	if x, ok := c.(*fakeExchange); ok && x.conv.Valid() {
		return access.Principal{Name: testUser}, nil
	} else if ok || f.people == nil {
		return access.Principal{}, &access.Error{Kind: access.Denied, Code: "28000", Message: "not authenticated"}
	}
	return f.people.Verify(ctx, c)
}

func (f *fakeCore) Connect(ctx context.Context, l gateway.Login) (session, error) {
	if p, err := f.Verify(ctx, l.Credentials); err != nil || p.Name != l.User {
		f.refused.Add(1)
		return nil, &access.Error{Kind: access.Denied, Code: "28000", Message: "not authenticated"}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.logins = append(f.logins, l)
	if l.Connection != testConn {
		return nil, &access.Error{Kind: access.Denied, Code: "3D000", Message: "no connection " + l.Connection, Hint: "ask"}
	}
	pid := f.pids.Add(1)
	s := &fakeSession{core: f, pid: pid, tx: 'I', cancel: make(chan struct{}, 1)}
	f.open[pid] = s
	return s, nil
}

func (f *fakeCore) Cancel(pid, key uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cancelled = append(f.cancelled, pid)
	if s := f.open[pid]; s != nil && key == pid*7 {
		select {
		case s.cancel <- struct{}{}:
		default:
		}
	}
}

func (f *fakeCore) sessions() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open)
}

func (f *fakeCore) lastLogin() gateway.Login {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.logins[len(f.logins)-1]
}

type fakeSession struct {
	core   *fakeCore
	pid    uint32
	tx     byte
	skip   bool
	copyIn bool
	sql    string // of the last Parse
	copied int
	out    []byte
	cancel chan struct{}
}

func (s *fakeSession) Run(_ *loop.Conn, serve func() error) error { return serve() }

func (s *fakeSession) Attend(gateway.Sink) {}

func (s *fakeSession) Params() gateway.SessionParams {
	return gateway.SessionParams{
		ID:  fmt.Sprintf("s%d", s.pid),
		PID: s.pid, Key: s.pid * 7, TxStatus: 'I',
		Status: map[string]string{
			"server_version": "15.18", "client_encoding": "UTF8", "server_encoding": "UTF8",
			"standard_conforming_strings": "on", "integer_datetimes": "on", "DateStyle": "ISO, MDY",
			"TimeZone": "UTC", "application_name": "",
		},
	}
}

func (s *fakeSession) Close() error {
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	delete(s.core.open, s.pid)
	return nil
}

func (s *fakeSession) Do(ctx context.Context, ops []gateway.Op, sink gateway.Sink) error {
	kinds := make([]gateway.OpKind, len(ops))
	for i, op := range ops {
		kinds[i] = op.Kind
	}
	s.core.mu.Lock()
	s.core.bursts = append(s.core.bursts, kinds)
	s.core.mu.Unlock()
	for i := range ops {
		if err := s.op(ctx, &ops[i], sink); err != nil {
			return err
		}
	}
	err := sink.Release(s.out)
	s.out = s.out[:0]
	return err
}

func (s *fakeSession) op(ctx context.Context, op *gateway.Op, sink gateway.Sink) error {
	if s.copyIn {
		switch op.Kind {
		case gateway.OpCopyData:
			s.copied += len(op.Raw) - 5
		case gateway.OpCopyDone:
			s.copyIn = false
			s.complete(fmt.Sprintf("COPY %d", s.copied))
			s.ready()
		case gateway.OpCopyFail:
			s.copyIn = false
			s.fail("57014", "COPY failed")
			s.ready()
		}
		return nil
	}
	if s.skip && op.Kind != gateway.OpSync {
		return nil
	}
	switch op.Kind {
	case gateway.OpQuery:
		if err := s.one(ctx, op.SQL, true, sink); err != nil {
			return err
		}
		if !s.copyIn {
			s.ready()
		}
	case gateway.OpParse:
		s.sql = op.SQL
		s.out = pgframe.AppendEmpty(s.out, '1')
	case gateway.OpBind:
		s.out = pgframe.AppendEmpty(s.out, '2')
	case gateway.OpDescribe:
		if op.Target == 'S' {
			s.out = append(s.out, 't', 0, 0, 0, 6, 0, 0)
		}
		s.describe()
	case gateway.OpExecute:
		return s.one(ctx, s.sql, false, sink)
	case gateway.OpClose:
		s.out = pgframe.AppendEmpty(s.out, '3')
	case gateway.OpSync:
		s.skip = false
		s.ready()
	}
	return nil
}

// one runs a statement: "SELECT 1", "ECHO text", "BIG n" (n rows), "ERR", "SLEEP" (until cancelled), "BEGIN",
// "COPYIN", "NOTICE" (before SLEEP), "PANIC", "END" (the session), "BROKEN" (an error of ours).
func (s *fakeSession) one(ctx context.Context, sql string, describe bool, sink gateway.Sink) error {
	verb, rest, _ := strings.Cut(strings.TrimSuffix(sql, ";"), " ")
	switch verb {
	case "ECHO", "SELECT":
		if describe {
			s.describe()
		}
		s.data([]byte(rest))
		s.complete("SELECT 1")
	case "BIG":
		n, _ := strconv.Atoi(rest)
		if describe {
			s.describe()
		}
		for range n {
			s.data(make([]byte, 1000))
			if len(s.out) > 64<<10 {
				if err := sink.Release(s.out); err != nil {
					return gateway.ErrEnded
				}
				s.out = s.out[:0]
			}
		}
		s.complete(fmt.Sprintf("SELECT %d", n))
	case "BEGIN":
		s.tx = 'T'
		s.complete("BEGIN")
	case "ERR":
		s.fail("42601", "syntax error")
		s.skip = !describe
	case "NOTICE":
		s.out = pgframe.AppendError(s.out, 'N', pgframe.Field{Code: 'S', Value: "NOTICE"}, pgframe.Field{Code: 'C', Value: "00000"}, pgframe.Field{Code: 'M', Value: "waiting"})
		if err := sink.Release(s.out); err != nil {
			return gateway.ErrEnded
		}
		s.out = s.out[:0]
		fallthrough
	case "SLEEP":
		select {
		case <-s.cancel:
			s.fail("57014", "canceling statement due to user request")
		case <-ctx.Done():
			return ctx.Err()
		}
	case "COPYIN":
		s.copyIn = true
		s.out = append(s.out, 'G', 0, 0, 0, 7, 0, 0, 0)
	case "PANIC":
		panic("as asked")
	case "END":
		s.out = pgframe.AppendError(s.out, 'E', pgframe.Field{Code: 'S', Value: "FATAL"}, pgframe.Field{Code: 'V', Value: "FATAL"}, pgframe.Field{Code: 'C', Value: "57P01"}, pgframe.Field{Code: 'M', Value: "over"})
		sink.Release(s.out)
		return gateway.ErrEnded
	case "BROKEN":
		return errors.New("secret detail of the operator")
	case "", "--":
		s.out = pgframe.AppendEmpty(s.out, 'I')
	default:
		s.fail("42601", "unknown statement")
	}
	return nil
}

func (s *fakeSession) describe() {
	at := 0
	s.out, at = pgframe.Begin(s.out, 'T')
	s.out = binary.BigEndian.AppendUint16(s.out, 1)
	s.out = pgframe.AppendCString(s.out, "v")
	s.out = append(s.out, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 255, 255, 255, 255, 255, 255, 0, 0)
	s.out = pgframe.End(s.out, at)
}

func (s *fakeSession) data(v []byte) {
	at := 0
	s.out, at = pgframe.Begin(s.out, 'D')
	s.out = binary.BigEndian.AppendUint16(s.out, 1)
	s.out = binary.BigEndian.AppendUint32(s.out, uint32(len(v)))
	s.out = pgframe.End(append(s.out, v...), at)
}

func (s *fakeSession) complete(tag string) {
	at := 0
	s.out, at = pgframe.Begin(s.out, 'C')
	s.out = pgframe.End(pgframe.AppendCString(s.out, tag), at)
}

func (s *fakeSession) fail(code, message string) {
	if s.tx == 'T' {
		s.tx = 'E'
	}
	s.out = pgframe.AppendError(s.out, 'E', pgframe.Field{Code: 'S', Value: "ERROR"}, pgframe.Field{Code: 'C', Value: code}, pgframe.Field{Code: 'M', Value: message})
}

func (s *fakeSession) ready() { s.out = append(s.out, 'Z', 0, 0, 0, 5, s.tx) }
