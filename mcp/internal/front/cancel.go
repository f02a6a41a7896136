package front

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/mark3labs/mcp-go/mcp"
)

// idleStream says whether body asks for a stream of notifications (subscriptions/listen of protocol
// 2026-07-28). The library would hold it open for as long as the client likes, beside every limit on calls and
// past the end of the token; we have nothing to tell there.
func idleStream(body []byte) (id json.RawMessage, ok bool) {
	var m struct {
		ID     json.RawMessage `json:"id"`
		Method mcp.MCPMethod   `json:"method"`
	}
	ok = json.Unmarshal(body, &m) == nil && m.Method == mcp.MethodSubscriptionsListen
	return m.ID, ok
}

// wantsSession says whether body is a message of protocol 2025-11-25 that belongs to a session: all but initialize do, and what
// is no message is for the library to refuse.
func wantsSession(h http.Header, body []byte) bool {
	if v := h.Get(mcp.HeaderProtocolVersion); v != "" && !mcp.IsValidProtocolVersion(v) {
		return false
	}
	var m struct {
		Method mcp.MCPMethod `json:"method"`
		Params struct {
			Meta *mcp.Meta `json:"_meta"`
		} `json:"params"`
	}
	if json.Unmarshal(body, &m) != nil || m.Method == "" || m.Method == mcp.MethodInitialize {
		return false
	}
	return !mcp.IsModernProtocol(h.Get(mcp.HeaderProtocolVersion)) && !mcp.IsModernProtocol(m.Params.Meta.ProtocolVersion())
}

// refuseMethod answers like a server that does not know the method.
func refuseMethod(w http.ResponseWriter, id json.RawMessage, message string) {
	if len(id) == 0 {
		id = json.RawMessage("null")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":%q}}`, id, mcp.METHOD_NOT_FOUND, message)
}

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
