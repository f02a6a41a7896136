// Package pgwire is the PostgreSQL door: psql, drivers and tools speak the frontend/backend protocol to
// it, versions 3.0 and 3.2, and every statement goes to the core as gateway.Op.
//
// # What it trusts, what it refuses
//
// It trusts the core alone. It holds credentials for the length of a log-in, makes no principal, judges
// no statement and has no way to a database. It refuses what the protocol allows but a gate must not pass
// (replication, FunctionCall, client encodings other than UTF-8), what the protocol forbids (unknown
// messages, impossible lengths, bytes smuggled in front of TLS), and what would cost without bound
// (silent clients, oversize messages, readers that never read). Each refusal is an ErrorResponse with
// SQLSTATE and hint, and a log-in that fails looks the same for a wrong password and an unknown user.
//
// # Layers
//
//	server.go    options, the accept loop, drain (registry.go: who is connected, limits)
//	watch.go     one goroutine a server: clients that went away or stopped reading
//	conn.go      one goroutine a client: log-in, then the message loop; the final word
//	startup.go   up to the startup message: TLS, GSS, cancel requests (packet.go and options.go decode)
//	auth.go      SASL, the session, the parameters that a client wants to hear
//	prove.go     what a client may prove itself with: certificate, SCRAM-SHA-256, or a token (oauthbearer.go)
//	loop.go      bursts of messages -> session.Do (decode.go: one message -> one Op)
//	reader.go    the read buffer, which exists only while bytes are there
//	sink.go      the way back
//	errors.go    access.Error -> ErrorResponse
//
// # A client's way
//
//  1. The first byte decides: TLS from the start (needs ALPN "postgresql"), or a startup packet.
//  2. SSLRequest and GSSENCRequest, in any order and at most once each, or a CancelRequest, which is
//     never answered.
//  3. StartupMessage: version, user, connection (the "database"), run-time parameters, options.
//  4. The certificate of the TLS handshake, a SCRAM exchange or OAUTHBEARER; the core verifies it, decides on the connection and
//     opens the session.
//  5. Bursts: one read, all whole messages in it as one Do, one write, until Terminate.
//
// # Deviations from PostgreSQL
//
// A malformed body of a known message ends the session, where the server answers ERROR. client_encoding
// SQL_ASCII is taken as UTF8 and announced so. A client that shuts down its sending side while a
// statement runs counts as gone, as with PostgreSQL's client_connection_check_interval.
package pgwire
