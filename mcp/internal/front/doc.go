// Package front is the HTTP side of the agents' door: what an MCP server library does not do before
// and around a request. It knows nothing of tools.
//
// A request passes, in this order, and the first that objects ends it:
//
//  1. panic recovery, security headers                     front.go
//  2. Host (DNS rebinding), Origin (browsers)               origin.go
//     what anybody may know of this protected resource      metadata.go
//  3. bearer token -> principal, asked of the core anew      bearer.go
//  4. path, method, size of the body                         front.go
//  5. MCP session belongs to that principal                  sessions.go
//  6. the library's streamable HTTP transport; its answer becomes a 401 when the token ends meanwhile, a 403
//     when it lacks a scope                                 verdict.go
//
// It trusts the core's Verify and nothing in the request. It refuses tokens anywhere but in the
// Authorization header, sessions of somebody else (answered like unknown ones), server-sent streams
// (GET: this door has nothing to say unasked) and cancellations in protocol 2026-07-28, which the
// library would match by request id across all clients (see cancel.go).
package front
