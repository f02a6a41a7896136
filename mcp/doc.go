// Package mcp is the agents' door: seven tools over streamable HTTP (/mcp) or stdio, in protocols
// 2025-11-25 and 2026-07-28, all of them served by gateway.Core.
//
// # The life of a tool call
//
//  1. the message's credentials are verified              internal/front (HTTP), stdio.go
//  2. the call gets one of the principal's places         limits.go
//  3. arguments are checked against the tool's table      args.go; the table makes the schema as well
//  4. the task is looked up: it has to be the caller's     data.go
//  5. the core runs it on a session kept for the caller   sessions.go
//  6. the answer is cut into pages and made harmless      cursors.go, values.go, harmless.go
//  7. structured content and its compact text twin         answer.go, table.go
//
// Where the core holds a statement for approval, 5 gives a handle: approval.go. A client that can show its person the page
// of the request is asked to, and may bring back a sealed state: elicit.go, seals.go.
//
// What it trusts: gateway.Core, for every decision. What it refuses: arguments that the table does not
// know, data tools without a task and a reason, cursors and sessions in foreign hands, calls that take
// longer than 45 s. A refusal is a tool result (isError, with "refused": kind, code, message, hint) and
// never a protocol error, because only a result reaches the model, which can then do better. The one protocol error asks a
// client of 2025-11-25 to show a page.
//
// What databases hold is untrusted: somebody may have written it to steer the agent. Rows stand between
// delimiters with a nonce that no row can know, and characters that hide or reorder text are spelled out.
// Nothing of meaning is sent in notifications: the library loses those sent shortly before a result.
//
// Where to start: tools.go.
package mcp
