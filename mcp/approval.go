package mcp

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/mcp/internal/front"
)

// A statement that needs approval comes back at once with a handle. The agent asks check_approval, which waits for a
// while, and runs the statement that was reviewed once it is approved. A wish to see columns is the same, but for what follows:
// they are shown. No tool decides about a request: whoever holds an agent's token holds no reviewer's.

const (
	waitDefault = 20 // seconds that check_approval waits for a decision
	waitMost    = 30 // what is left of a call is for the statement
	retryAfter  = 30 // seconds, in the answer to a query
)

// pendingBody is the structured content where a person has to decide first.
type pendingBody struct {
	Pending pendingApproval `json:"pending_approval"`
}

type pendingApproval struct {
	Handle     string    `json:"handle"`
	URL        string    `json:"url,omitempty"` // where reviewers decide
	Message    string    `json:"message"`
	Needs      []string  `json:"needs,omitempty"` // groups that have not approved
	Escalated  []stoodIn `json:"escalated,omitempty"`
	Approved   int       `json:"approved"` // people who have
	Waited     int       `json:"waited_seconds"`
	RetryAfter int       `json:"retry_after_seconds"`
	Expires    string    `json:"expires,omitempty"` // RFC 3339
}

// stoodIn says that members of other groups may decide too, because one had not in its time.
type stoodIn struct {
	Group string   `json:"group"`
	To    []string `json:"to"`
	Since string   `json:"since"` // RFC 3339
}

// held is the answer to what waits for a person.
func (s *Server) held(ctx context.Context, c *front.Caller, a args, e *access.Error) *answer {
	p := pendingApproval{Handle: e.Review, Message: clip(harmless(e.Message), messageMost), RetryAfter: retryAfter}
	if now, err := s.core.Approval(ctx, c.Credentials, e.Review); err == nil { // the handle is worth as much without
		if q := s.question(ctx, c, a, now); q != nil {
			return q
		}
		p.URL = now.URL
	}
	return &answer{structured: pendingBody{p}, text: fmt.Sprintf("Pending approval, handle %s. Nothing has run. %s. Call check_approval with the handle; do not send the statement again.%s",
		p.Handle, p.Message, at(p.URL))}
}

// at says where reviewers decide.
func at(url string) string {
	if url == "" {
		return ""
	}
	return " Reviewers decide at " + url + "; tell people, you cannot decide there."
}

func (s *Server) requestReveal(ctx context.Context, c *front.Caller, a args) (*answer, error) {
	task, err := s.core.LookupTask(ctx, c.Credentials, a.text["task_id"])
	if err != nil {
		return nil, err
	}
	if len(a.params) == 0 {
		return nil, invalid("no columns are named", "name them as table.column or schema.table.column")
	}
	id, err := s.sessions.reveal(ctx, c, a.text["connection"], gateway.RevealQuery{Columns: a.params, Task: task, Reason: a.text["reason"], Traceparent: c.Traceparent})
	if err != nil {
		return nil, err
	}
	return nil, &access.Error{Kind: access.ReviewPending, Code: "42501", Review: id, Message: "Until this is approved the columns stay masked"}
}

// own gives a request of the caller's, made in the task that the call names, or in one that there is no more: tasks end with a restart of the
// gateway, and requests do not.
func (s *Server) own(ctx context.Context, c *front.Caller, a args, handle string) (task gateway.Task, now gateway.ApprovalStatus, err error) {
	if task, err = s.core.LookupTask(ctx, c.Credentials, a.text["task_id"]); err != nil {
		return task, now, err
	}
	if now, err = s.core.Approval(ctx, c.Credentials, handle); err != nil {
		return task, now, err
	}
	if now.Task == task.ID {
		return task, now, nil
	}
	if _, err := s.core.LookupTask(ctx, c.Credentials, now.Task); err == nil {
		return task, now, invalid("this request was made in another task", "give the task_id that the statement was sent with")
	}
	return task, now, nil
}

func (s *Server) checkApproval(ctx context.Context, c *front.Caller, a args) (*answer, error) {
	task, now, err := s.own(ctx, c, a, a.text["handle"])
	if err != nil {
		return nil, err
	}
	if a.flag["withdraw"] {
		return s.withdraw(ctx, c, now.ID)
	}
	wait := s.patience
	if n, ok := a.number["wait_seconds"]; ok {
		wait = n
	}
	return s.await(ctx, c, a, task, now.ID, wait)
}

// withdraw ends a request: nothing of it runs.
func (s *Server) withdraw(ctx context.Context, c *front.Caller, handle string) (*answer, error) {
	now, err := s.core.Withdraw(ctx, c.Credentials, handle)
	if err != nil {
		return nil, err
	}
	return &answer{structured: map[string]string{"withdrawn": now.ID}, text: fmt.Sprintf("Request %s is withdrawn: nobody decides about it any more, and nothing of it will run.", now.ID)}, nil
}

// await waits so many seconds for a decision, and then does what was decided.
func (s *Server) await(ctx context.Context, c *front.Caller, a args, task gateway.Task, handle string, wait int) (*answer, error) {
	until := time.NewTimer(time.Duration(wait) * time.Second)
	defer until.Stop()
	for {
		changed := s.core.WatchReviews(handle)
		now, err := s.core.Approval(ctx, c.Credentials, handle)
		if err != nil {
			return nil, err
		}
		switch now.State {
		case "pending":
			if q := s.question(ctx, c, a, now); q != nil {
				return q, nil
			}
		case "approved":
			if len(now.Columns) > 0 {
				return revealed(now), nil
			}
			if now.Uses > 0 {
				return nil, ranBefore(now)
			}
			return s.runApproved(ctx, c, a, task, now)
		default:
			return nil, decided(now)
		}
		select {
		case <-changed:
		case <-until.C:
			return stillPending(now), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// runApproved runs the statement that was reviewed, as it was stored: the agent does not say it again.
func (s *Server) runApproved(ctx context.Context, c *front.Caller, a args, task gateway.Task, now gateway.ApprovalStatus) (*answer, error) {
	size := a.number["max_rows"]
	if size == 0 {
		size = rowsDefault
	}
	res, err := s.sessions.query(ctx, c, now.Connection, gateway.Query{SQL: now.SQL, Args: now.Params, MaxRows: max(size, min(size*fetchPages, fetchRows)), MaxBytes: fetchBytes,
		Task: task, Reason: a.text["reason"], Traceparent: c.Traceparent, Approval: now.ID})
	if err != nil {
		return nil, err
	}
	return s.page(c, task, restOf(res, size)), nil
}

// ranBefore answers who asks again what was approved for several times: the answer may have been lost, and the statement not.
func ranBefore(now gateway.ApprovalStatus) *access.Error {
	return &access.Error{Kind: access.Invalid, Code: "55000", Message: fmt.Sprintf("this is approved until %s, and was used %d times: its statement may have run already, and check_approval runs it once", now.Expires.Format(time.RFC3339), now.Uses),
		Hint: "to run it again, or another that the approval covers, send it with query"}
}

// revealed says what an approval shows.
func revealed(now gateway.ApprovalStatus) *answer {
	until := now.Expires.Format(time.RFC3339)
	return &answer{structured: map[string]any{"revealed": map[string]any{"columns": now.Columns, "until": until}},
		text: fmt.Sprintf("Approved: your queries on %s see %s as it is until %s. %s", now.Connection, harmless(strings.Join(now.Columns, ", ")), until,
			clip(harmless(strings.Join(now.Said, "; ")), messageMost))}
}

// stillPending says how far a request has come.
func stillPending(now gateway.ApprovalStatus) *answer {
	p := pendingApproval{Handle: now.ID, URL: now.URL, Needs: now.Missing, Approved: now.Approved, Waited: int(time.Since(now.Created).Seconds()), RetryAfter: retryAfter,
		Expires: now.Expires.Format(time.RFC3339), Message: "waiting for approval by " + now.WaitsFor}
	for _, e := range now.Escalated {
		p.Escalated = append(p.Escalated, stoodIn{e.Group, e.To, e.Since.Format(time.RFC3339)})
	}
	return &answer{structured: pendingBody{p}, text: fmt.Sprintf("Still pending after %d s: %s. %d have approved. It ends at %s. Ask again in %d s, or work on something else.%s",
		p.Waited, p.Message, p.Approved, p.Expires, p.RetryAfter, at(p.URL))}
}

// decided words a request that will not run any more, or has.
func decided(now gateway.ApprovalStatus) *access.Error {
	switch now.State {
	case "denied":
		return &access.Error{Kind: access.Denied, Code: "42501", Message: fmt.Sprintf("%s denied this: %s", now.Reviewer, now.Outcome),
			Hint: "do not send it again as it is: do without, or ask for less"}
	case "executed":
		return &access.Error{Kind: access.Invalid, Code: "55000", Message: "this has run already, once, and an approval is used once", Hint: "its answer went to the call that ran it"}
	case "unknown":
		return &access.Error{Kind: access.Unavailable, Code: "08007", Message: "whether this ran is not known: " + now.Outcome, Hint: "look at the data before you send it again"}
	}
	hint := "send the statement again to ask anew"
	if len(now.Columns) > 0 {
		hint = "call request_reveal to ask anew"
	}
	return &access.Error{Kind: access.Denied, Code: "42501", Message: fmt.Sprintf("the request is %s: %s", now.State, now.Outcome), Hint: hint}
}
