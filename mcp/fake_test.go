package mcp

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

// fakeCore knows two agents by token, keeps tasks, and answers statements by a function.
type fakeCore struct {
	gateway.Core // what the door does not use

	mu       sync.Mutex
	tokens   map[string]access.Principal
	tasks    map[string]taskOf
	connects []gateway.Login
	queries  []gateway.Query
	closed   int
	policies string
	resets   int
	resetErr error
	answer   func(ctx context.Context, q gateway.Query) (*gateway.Result, error)
	schema   []gateway.RelationInfo

	providers []access.Provider
	watched   map[string]chan string // by token hash of the principal
}

type taskOf struct {
	owner string
	task  gateway.Task
}

const (
	anna = "token-of-anna"
	bert = "token-of-bert"
)

func newFake() *fakeCore {
	return &fakeCore{
		tokens: map[string]access.Principal{
			anna: {Name: "anna", Kind: access.Agent, Groups: []string{"support"}},
			bert: {Name: "bert", Kind: access.Agent, Groups: []string{"support"}},
		},
		tasks: map[string]taskOf{},
	}
}

func (f *fakeCore) Verify(_ context.Context, c access.Credentials) (access.Principal, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, _ := c.(access.Bearer)
	p, ok := f.tokens[string(b)]
	if !ok {
		return access.Principal{}, &access.Error{Kind: access.Denied, Code: "28000", Message: "unknown token"}
	}
	return p, nil
}

func (f *fakeCore) Recognise(ctx context.Context, l gateway.Login) (access.Principal, error) {
	return f.Verify(ctx, l.Credentials)
}

func (f *fakeCore) PolicyVersion() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.policies
}

func (f *fakeCore) Providers() []access.Provider { return f.providers }

// Watch gives the channel that withdraw closes.
func (f *fakeCore) Watch(p access.Principal) (<-chan string, func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watched == nil {
		f.watched = map[string]chan string{}
	}
	if f.watched[p.Name] == nil {
		f.watched[p.Name] = make(chan string, 1)
	}
	return f.watched[p.Name], func() {}
}

// withdraw ends what rests on a token, as an operator does.
func (f *fakeCore) withdraw(token string) {
	f.mu.Lock()
	ended := f.watched[f.tokens[token].Name]
	f.mu.Unlock()
	f.revoke(token)
	if ended != nil {
		ended <- "withdrawn by an operator"
		close(ended)
	}
}

func (f *fakeCore) revoke(token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.tokens, token)
}

func (f *fakeCore) Visible(ctx context.Context, c access.Credentials) ([]gateway.ConnectionInfo, error) {
	if _, err := f.Verify(ctx, c); err != nil {
		return nil, err
	}
	return []gateway.ConnectionInfo{{Name: "shop", Driver: "postgres", Database: "shop", ServerVersion: "15.18", Relations: 7, Masked: 5, Available: true}}, nil
}

func (f *fakeCore) StartTask(ctx context.Context, _ access.Door, c access.Credentials, goal, ticket string) (gateway.Task, error) {
	p, err := f.Verify(ctx, c)
	if err != nil {
		return gateway.Task{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	t := gateway.Task{ID: fmt.Sprintf("task-%d", len(f.tasks)+1), Goal: goal, Ticket: ticket}
	f.tasks[t.ID] = taskOf{p.Name, t}
	return t, nil
}

func (f *fakeCore) LookupTask(ctx context.Context, c access.Credentials, id string) (gateway.Task, error) {
	p, err := f.Verify(ctx, c)
	if err != nil {
		return gateway.Task{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	t, ok := f.tasks[id]
	if !ok || t.owner != p.Name {
		return gateway.Task{}, &access.Error{Kind: access.Invalid, Code: "22023", Message: "no such task", Hint: "begin one with start_task"}
	}
	return t.task, nil
}

func (f *fakeCore) Approval(context.Context, access.Credentials, string) (gateway.ApprovalStatus, error) {
	return gateway.ApprovalStatus{}, &access.Error{Kind: access.Invalid, Code: "22023", Message: "there is no such request of yours"}
}

func (f *fakeCore) WatchReviews(string) <-chan struct{} { return nil }

func (f *fakeCore) SearchSchema(_ context.Context, _ access.Credentials, q gateway.SchemaQuery) ([]gateway.RelationInfo, error) {
	return f.schema[:min(q.Limit, len(f.schema))], nil
}

// connect is what newServer takes.
func (f *fakeCore) connect(ctx context.Context, l gateway.Login) (session, error) {
	if _, err := f.Verify(ctx, l.Credentials); err != nil {
		return nil, err
	}
	if l.Connection != "shop" {
		return nil, &access.Error{Kind: access.Invalid, Code: "3D000", Message: "no such connection", Hint: "see list_connections"}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.connects = append(f.connects, l)
	return &fakeSession{core: f}, nil
}

func (f *fakeCore) count() (connects, queries, closed int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.connects), len(f.queries), f.closed
}

type fakeSession struct {
	core *fakeCore
	busy sync.Mutex
}

func (s *fakeSession) Query(ctx context.Context, q gateway.Query) (*gateway.Result, error) {
	if !s.busy.TryLock() {
		panic("two statements at once on one session")
	}
	defer s.busy.Unlock()
	s.core.mu.Lock()
	s.core.queries = append(s.core.queries, q)
	answer := s.core.answer
	s.core.mu.Unlock()
	if answer == nil {
		return rows(3, "SELECT 3"), nil
	}
	return answer(ctx, q)
}

func (s *fakeSession) AskReveal(context.Context, gateway.RevealQuery) (string, error) {
	return "", &access.Error{Kind: access.Denied, Code: "42501", Message: "no policy shows that"}
}

func (s *fakeSession) Reset(context.Context) error {
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	s.core.resets++
	return s.core.resetErr
}

func (s *fakeSession) Close() error {
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	s.core.closed++
	return nil
}

// rows makes a result of n rows (id int4, email text masked).
func rows(n int, command string) *gateway.Result {
	r := &gateway.Result{
		Columns: []gateway.ResultColumn{
			{Name: "id", Type: "integer", TypeOID: oidInt4},
			{Name: "email", Type: "text", TypeOID: 25, Masks: []access.MaskApplied{{Column: "public.customers.email", Label: "pii.email", Transform: "partial"}}},
		},
		Command: command, Record: 42,
	}
	for i := range n {
		id, email := fmt.Sprint(i+1), fmt.Sprintf("u%d***@example.com", i+1)
		r.Rows = append(r.Rows, []*string{&id, &email})
	}
	return r
}

func newTestServer(t *testing.T, f *fakeCore, opt Options) *Server {
	t.Helper()
	if opt.Log == nil {
		opt.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	}
	s := newServer(f, opt, f.connect)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
