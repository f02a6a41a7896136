package mcp

import (
	"context"
	"fmt"
	"strings"
	"time"

	sdk "github.com/mark3labs/mcp-go/mcp"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/mcp/internal/front"
)

// A statement that needs approval comes back at once with a handle. The agent asks check_approval, which waits for a
// while, and runs the statement that was reviewed once it is approved. No tool decides about a request: whoever holds an
// agent's token holds no reviewer's.

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
	Handle     string   `json:"handle"`
	Message    string   `json:"message"`
	Needs      []string `json:"needs,omitempty"` // groups that have not approved
	Approved   int      `json:"approved"`        // people who have
	Waited     int      `json:"waited_seconds"`
	RetryAfter int      `json:"retry_after_seconds"`
	Expires    string   `json:"expires,omitempty"` // RFC 3339
}

// held is the answer to a statement that waits for a person.
func held(e *access.Error) *sdk.CallToolResult {
	p := pendingApproval{Handle: e.Review, Message: clip(harmless(e.Message), messageMost), RetryAfter: retryAfter}
	return (&answer{structured: pendingBody{p}, text: fmt.Sprintf("Pending approval, handle %s. Nothing has run. %s. Call check_approval with the handle; do not send the statement again.", p.Handle, p.Message)}).result()
}

func (s *Server) checkApproval(ctx context.Context, c *front.Caller, a args) (*answer, error) {
	task, err := s.core.LookupTask(ctx, c.Credentials, a.text["task_id"])
	if err != nil {
		return nil, err
	}
	wait := waitDefault
	if n, ok := a.number["wait_seconds"]; ok {
		wait = n
	}
	until := time.NewTimer(time.Duration(wait) * time.Second)
	defer until.Stop()
	for {
		changed := s.core.WatchReviews(a.text["handle"])
		now, err := s.core.Approval(ctx, c.Credentials, a.text["handle"])
		if err != nil {
			return nil, err
		}
		if now.Task != task.ID {
			return nil, invalid("this request was made in another task", "give the task_id that the statement was sent with")
		}
		switch now.State {
		case "pending":
		case "approved":
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
		Task: task, Reason: a.text["reason"]})
	if err != nil {
		return nil, err
	}
	return s.page(c, task, restOf(res, size)), nil
}

// stillPending says how far a request has come.
func stillPending(now gateway.ApprovalStatus) *answer {
	p := pendingApproval{Handle: now.ID, Needs: now.Missing, Approved: now.Approved, Waited: int(time.Since(now.Created).Seconds()), RetryAfter: retryAfter,
		Expires: now.Expires.Format(time.RFC3339), Message: "waiting for approval by " + strings.Join(now.Missing, " and ")}
	return &answer{structured: pendingBody{p}, text: fmt.Sprintf("Still pending after %d s: %s. %d have approved. It ends at %s. Ask again in %d s, or work on something else.",
		p.Waited, p.Message, p.Approved, p.Expires, p.RetryAfter)}
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
	return &access.Error{Kind: access.Denied, Code: "42501", Message: fmt.Sprintf("the request is %s: %s", now.State, now.Outcome), Hint: "send the statement again to ask anew"}
}
