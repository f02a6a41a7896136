// Package bench measures what the gateway costs: direct connections, pgbouncer (session pooling) and
// sallyport (guard, masks and durable record on) take turns on one server in one run, so that
// whatever else the machine does falls on all three. Figures are ratios within a round.
//
// Client, proxy and server share the machine's cores, which is the worst case for a proxy. The
// gateway's data directory lies under evals/out, on a disk: a record on a tmpfs would be durable in
// name only. pgbouncer and the gateway both reach the server over TCP.
//
// A fourth target, the floor, says what any gateway that syncs a record before each answer takes on this machine.
//
// Where to start: Main. Samples are kept in evals/out/bench in the Go benchmark format, for
// benchstat.
package bench
