package mcp

import (
	"context"
	"fmt"
	"strings"
	"time"

	sdk "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"sallyport/internal/gateway"
	"sallyport/mcp/internal/front"
)

// A client that can show its person a page (elicitation.url) is asked to show that of a request for approval, once. In protocol
// 2026-07-28 by an input_required result, with a requestState for the retry; in 2025-11-25 by the error -32042, after which the
// client makes its call again. A client that cannot gets pending_approval, and so does who has been asked.
//
// What comes back decides nothing. Whoever answers is at the agent's side of the door, may be the one who asked, and may be
// the agent: to accept says that the page was shown, and the core alone knows whether the request was approved there.

// reviewPage is the key of the one question that this door has.
const reviewPage = "review"

// opensURLs reports whether the client of a call says that it shows its person pages: for each call in protocol 2026-07-28, when
// its session began in 2025-11-25.
func opensURLs(ctx context.Context) bool {
	var can *sdk.ElicitationCapability
	if info := server.RequestProtocolInfoFromContext(ctx); info != nil && info.Modern {
		if info.ClientCapabilities != nil {
			can = info.ClientCapabilities.Elicitation
		}
	} else if with, ok := server.ClientSessionFromContext(ctx).(server.SessionWithClientInfo); ok {
		can = with.GetClientCapabilities().Elicitation
	}
	return can != nil && can.URL != nil
}

// question has the client show the page of a request that waits, or is nil where it cannot, has no page to show, or has shown it.
func (s *Server) question(ctx context.Context, c *front.Caller, a args, now gateway.ApprovalStatus) *answer {
	if now.State != "pending" || now.URL == "" || !c.OpensURLs || !s.seals.first(now.ID, now.Expires) {
		return nil
	}
	what := "a statement"
	if len(now.Columns) > 0 {
		what = "to see " + strings.Join(now.Columns, ", ")
	}
	q := &answer{open: &sdk.ElicitationParams{Mode: sdk.ElicitationModeURL, ElicitationID: now.ID, URL: now.URL, Message: harmless(fmt.Sprintf(
		"%s asks for approval of %s on %s: request %s, until %s. Reviewers (%s) decide on this page, signed in as themselves; whoever asks cannot decide, and to open the page approves nothing. Decline to withdraw the request.",
		c.Principal.Name, what, now.Connection, now.ID, now.Expires.Format(time.RFC3339), strings.Join(now.Missing, ", ")))}}
	if server.IsModernRequest(ctx) {
		q.state = s.seals.seal(ticket{Caller: c.Key(), Call: a.digest, Request: now.ID, Digest: now.Digest}, now.Expires)
	}
	return q
}

// resume goes on with a call whose client was asked: accept waits for the decision as check_approval does, decline withdraws the
// request, and whatever else leaves it as it is.
func (s *Server) resume(ctx context.Context, c *front.Caller, a args, back sdk.MultiRoundTripParams) (*answer, error) {
	t, err := s.seals.take(back.RequestState, c.Key(), a.digest)
	if err != nil {
		return nil, err
	}
	task, now, err := s.own(ctx, c, a, t.Request)
	if err != nil {
		return nil, err
	}
	if now.Digest != t.Digest {
		return nil, invalid("the request is not what this requestState was given for", "nothing ran; ask check_approval with the handle "+t.Request)
	}
	action := sdk.ElicitationResponseActionCancel
	if r := server.ElicitationResponse(back.InputResponses, reviewPage); r != nil {
		action = r.Action
	}
	switch action {
	case sdk.ElicitationResponseActionAccept:
		return s.await(ctx, c, a, task, now.ID, s.patience)
	case sdk.ElicitationResponseActionDecline:
		return s.withdraw(ctx, c, now.ID)
	}
	return s.await(ctx, c, a, task, now.ID, 0)
}
