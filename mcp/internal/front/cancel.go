package front

import (
	"encoding/json"

	"github.com/mark3labs/mcp-go/mcp"
)

// strayCancel says whether body is a cancellation that must not reach the library. The library finds
// the request to cancel by MCP session and request id; in protocol 2026-07-28 there is no session, so
// any client could cancel request 1 of every other client. Over HTTP that protocol cancels by closing
// the connection, which ends the request's context, so nothing is lost.
func strayCancel(session string, body []byte) bool {
	if session != "" {
		return false // session is only set in 2025-11-25, and is the caller's own
	}
	var m struct {
		Method mcp.MCPMethod `json:"method"`
	}
	return json.Unmarshal(body, &m) == nil && m.Method == mcp.MethodNotificationCancelled
}
