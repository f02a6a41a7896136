package gateway

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/approval"
)

// A preview shows a reviewer what a request would do: the plan, and for a write how many rows it would change, found by running
// it in a transaction that is rolled back. It runs as who asked, in a session of its own that is in the record, holds no rows
// that anybody is given, and waits for locks a second at most.

// Preview is what a request would do, as of At.
type Preview struct {
	Plan     string        // EXPLAIN, as who asked would see it; "" where there is none
	Counted  bool          // Affected is known
	Affected int64         // rows that it would change
	Why      string        // why there is no plan or no count
	Took     time.Duration // of the statement that was rolled back
	At       time.Time
}

// ReviewNotes is what a reviewer may want to look at twice, and requests like r with how they ended, the newest first.
func (g *Gateway) ReviewNotes(r *ReviewRequest) ([]ReviewNote, []*ReviewRequest, error) {
	others, err := g.approvals.List("", mostOthers, func(o *approval.Request) bool {
		return o.Binding.Principal == r.Binding.Principal || o.Binding.Connection == r.Binding.Connection
	})
	if err != nil {
		return nil, nil, err
	}
	return approval.Notes(r, others), approval.Similar(r, others, mostSimilar), nil
}

const (
	mostOthers     = 500
	mostSimilar    = 5
	mostPlan       = 64 << 10
	previewTimeout = 5 * time.Second
	previewLocks   = time.Second
)

// PreviewReview makes a preview for somebody who may decide about a request. One is made at a time; who asks waits for one that is made by
// itself, which nobody else waits for.
func (g *Gateway) PreviewReview(ctx context.Context, p access.Principal, id string) (*Preview, error) {
	r, err := g.approvals.Get(id)
	if err != nil {
		return nil, err
	}
	if ok, why := g.MayDecide(p, r); !ok {
		return nil, &access.Error{Kind: access.Denied, Message: why}
	}
	ctx, cancel := context.WithTimeout(ctx, g.previewTime())
	defer cancel()
	busy := &access.Error{Kind: access.Unavailable, Message: "another preview is being made", Hint: "try again in a moment"}
	select {
	case g.previewing <- struct{}{}:
	default:
		if !g.previews.busy() {
			return nil, busy
		}
		select {
		case g.previewing <- struct{}{}:
		case <-ctx.Done():
			return nil, busy
		}
	}
	defer func() { <-g.previewing }()
	return g.previewFor(ctx, r, "for "+p.Name)
}

// previewTime is how long a preview may take in all: for the statement, and for what is around it.
func (g *Gateway) previewTime() time.Duration {
	return max(cmp.Or(g.reviewing.Preview, previewTimeout), 0) + 2*previewTimeout
}

// previewFor makes a preview, for whom the record says. Its caller has the one place for it, and a context that ends.
func (g *Gateway) previewFor(ctx context.Context, r *approval.Request, whom string) (*Preview, error) {
	if r.State != approval.Pending || r.Subject.Kind != approval.SubjectStatement {
		return nil, &access.Error{Kind: access.Invalid, Message: "only a statement that is pending has a preview"}
	}
	if g.reviewing.Preview < 0 {
		return nil, &access.Error{Kind: access.Denied, Message: "previews are switched off", Hint: "approvals.preview in the configuration"}
	}
	if len(r.Subject.NoPreview) > 0 {
		return nil, unpreviewed(r.Subject.NoPreview)
	}
	asked, err := g.askerOf(r)
	if err != nil {
		return nil, err
	}
	s, err := g.connect(ctx, Login{Door: r.Binding.Door, Connection: r.Binding.Connection, Client: "preview of request " + r.ID + " " + whom, Reason: r.Subject.Reason}, asked)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	g.recheck(s)
	return s.previewOf(ctx, r, cmp.Or(g.reviewing.Preview, previewTimeout))
}

// unpreviewed says which policies are in the way, of those at the time of the request or of now: a preview needs both to have it.
func unpreviewed(policies []string) *access.Error {
	return &access.Error{Kind: access.Denied, Code: "42501", Message: "there is no preview of this: " + strings.Join(policies, ", ") + ` has @preview("off")`, Hint: "decide without one: nothing was tried out"}
}

// askerOf is who made a request, with all that they were permitted by when they asked. What ends their sessions ends this too, but for
// time: a token of five minutes is not withdrawn when they are over.
func (g *Gateway) askerOf(r *approval.Request) (access.Principal, error) {
	no := func(why string) (access.Principal, error) {
		return access.Principal{}, &access.Error{Kind: access.Denied, Code: "42501", Message: "there is no preview: " + why, Hint: "decide without one, or have " + r.Binding.Principal + " ask again"}
	}
	p, ok := r.Asked()
	if !ok {
		return no("the request does not say how who asked was proven")
	}
	over := !p.Proof.Expires.IsZero() && !p.Proof.Expires.After(time.Now())
	switch {
	case over && p.Proof.Issuer == "": // somebody has set that end, and may have meant it
		return no("what proved " + p.Name + " has expired")
	case over:
		p.Proof.Credential = "" // of which nothing is kept beyond its time
	}
	if p.Proof.Issuer != "" {
		p.Proof.Expires = time.Time{}
	}
	if cause, gone := g.gone(p); gone {
		return no("what proved " + p.Name + " does not hold any more: " + cause)
	}
	return p, nil
}

func (s *Session) previewOf(ctx context.Context, r *approval.Request, limit time.Duration) (*Preview, error) {
	s.mu.Lock()
	s.preview = r.ID
	err := s.own("SELECT pg_catalog.set_config('search_path', "+quoteLiteral(strings.Join(quoteAll(r.Binding.Path), ", "))+", false)", nopSink{}, func(string) {})
	s.pathStale = true
	for _, setting := range r.Binding.Settings { // under others it may mean something else
		if name, value, _ := strings.Cut(setting, "="); err == nil {
			name, value = quoteLiteral(name), quoteLiteral(value) // what is so already may be one that nobody can set
			err = s.own("SELECT pg_catalog.set_config("+name+", "+value+", false) WHERE pg_catalog.current_setting("+name+", true) IS NULL OR pg_catalog.current_setting("+name+", true) OPERATOR(pg_catalog.<>) "+value, nopSink{}, func(string) {})
		}
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	out := &Preview{At: time.Now().UTC()}
	uncounted := ""
	if out.Why, uncounted, err = s.unpreviewable(r); out.Why != "" || err != nil {
		return out, err
	}
	types := declaredTypes(r)
	res, err := s.Query(ctx, Query{SQL: "EXPLAIN (ANALYZE false) " + r.Binding.SQL, types: types, bind: bindSent(r.Binding.Params), MaxRows: 1000, MaxBytes: mostPlan, Task: Task{ID: r.Subject.Task}, Reason: r.Subject.Reason})
	if err != nil {
		out.Why = "no plan: " + toReviewer(access.AsError(err))
		res = &Result{}
	}
	for _, row := range res.Rows {
		if len(row) > 0 && row[0] != nil {
			out.Plan += *row[0] + "\n"
		}
	}
	if r.Subject.Class != access.ClassWrite {
		return out, nil
	}
	if uncounted != "" {
		out.Why = "no count: " + uncounted
		return out, nil
	}
	return out, s.count(ctx, r, limit, out)
}

// count runs the request's statement in a transaction and rolls it back.
func (s *Session) count(ctx context.Context, r *approval.Request, limit time.Duration, out *Preview) error {
	begin := &decoder{res: &Result{}}
	err := s.Do(ctx, []Op{{Kind: OpQuery, SQL: "BEGIN"}}, begin)
	if err == nil && begin.err != nil {
		err = begin.err
	}
	if err != nil {
		return fmt.Errorf("a transaction for the preview: %w", err)
	}
	s.mu.Lock()
	err = s.own(fmt.Sprintf("SELECT pg_catalog.set_config('statement_timeout', '%d', true), pg_catalog.set_config('lock_timeout', '%d', true)", limit.Milliseconds(), previewLocks.Milliseconds()), nopSink{}, func(string) {})
	s.mu.Unlock()
	if err != nil {
		return err
	}
	d := &decoder{res: &Result{}, maxRows: 1, maxBytes: 1}
	began := time.Now()
	if err := s.Do(ctx, []Op{{Kind: OpParse, SQL: r.Binding.SQL, ParamOIDs: declaredTypes(r)}, {Kind: OpBind, Raw: bindSent(r.Binding.Params)}, {Kind: OpExecute}, {Kind: OpSync}}, d); err != nil {
		return err
	}
	out.Took = time.Since(began)
	tag := d.res.Command
	if err := s.Do(ctx, []Op{{Kind: OpQuery, SQL: "ROLLBACK"}}, &decoder{res: &Result{}}); err != nil {
		return err
	}
	if d.err != nil {
		out.Why = "no count: " + toReviewer(d.err)
		return nil
	}
	if n, err := strconv.ParseInt(tag[strings.LastIndexByte(tag, ' ')+1:], 10, 64); err == nil {
		out.Counted, out.Affected = true, n
	} else {
		out.Why = "no count: the database says " + tag
	}
	return nil
}

// toReviewer words an error of a preview. The database's own words about values may hold some that who asked may see, and who decides may not:
// of classes of errors that are not known to be about names, locks, time and rights the code alone is told.
func toReviewer(e *access.Error) string {
	if len(e.Code) < 2 || slices.Contains([]string{"08", "0A", "25", "28", "40", "42", "53", "54", "55", "57"}, e.Code[:2]) {
		return e.Message
	}
	return "the database refuses it (SQLSTATE " + e.Code + "), in words that are for who asks alone"
}

// declaredTypes are the types that the client declared of the parameters: under others the statement may mean something else.
func declaredTypes(r *approval.Request) []uint32 {
	var out []uint32
	for _, t := range r.Binding.Types {
		oid, err := strconv.ParseUint(t, 10, 32)
		if err != nil { // of our own making
			return nil
		}
		out = append(out, uint32(oid))
	}
	return out
}

// unpreviewable says why a request cannot be looked at, or cannot be tried: what it does could outlast the transaction.
func (s *Session) unpreviewable(r *approval.Request) (why, uncounted string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, err := s.judge(r.Binding.SQL, nopSink{})
	if err != nil {
		return "it would be refused now: " + access.AsError(err).Message, "", nil
	}
	for i := range list {
		if p := list[i].plan; p.decision.Obligations.NoPreview {
			return "", "", unpreviewed(p.scope.policies.WithoutPreview(p.decision.Policies))
		}
	}
	if len(list) != 1 {
		return "a text of several statements has no preview", "", nil
	}
	if slices.ContainsFunc(r.Binding.Params, func(p approval.Param) bool { return p.Opaque && p.Bytes == nil }) {
		return "how its parameters were sent is not known: it was asked for by an older version", "", nil
	}
	switch p := list[0].plan; {
	case p.userCode:
		return "it runs code of the database's own users, which may do more than a rollback takes back", "", nil
	case p.facts.CopyIn || p.facts.CopyOut || p.facts.Prepares != "" || p.facts.Declares != "" || list[0].named != nil || !p.quiet:
		return fmt.Sprintf("%s has no preview", p.facts.Tag), "", nil
	case p.facts.Class != access.ClassRead && p.facts.Class != access.ClassWrite:
		return fmt.Sprintf("%s has no preview", p.facts.Tag), "", nil
	case calls(p.facts, planned) != "":
		return "it calls " + calls(p.facts, planned) + ", which may run while it is planned", "", nil
	default:
		return "", p.lasting(), nil
	}
}

// nopSink takes what nobody is given.
type nopSink struct{}

func (nopSink) Release([]byte) error { return nil }

func quoteAll(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = quoteIdent(n)
	}
	return out
}

func quoteLiteral(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
