// Package attack asks whether anything of THREATS.md has an effect on the server, or brings out what is
// withheld, when a restricted masked principal sends it.
//
// An attack is a statement or a few (families/*.tsv, one file a paragraph of THREATS.md), or a row of raw
// protocol messages (doors.go). Each is sent as it is and mutated: comments, case, quoting, Unicode, white
// space, every position in which an expression can stand, WITH, PREPARE, EXPLAIN ANALYZE, COPY, cursors,
// stacked (mutate.go, positions.go). It goes through the PostgreSQL door by the simple and by the extended
// protocol, and through the agents' query tool.
//
// The oracle is the server, never the answer's error code: hashes of the rows of every table and catalog,
// sequences, large objects, files, settings of the server and of the session, locks, connections, roles,
// transaction numbers, and every record of the write-ahead log (oracle.go). A cheap part of it is read after each attack, so that
// a culprit is named; all of it after each batch, and on a difference after each attack of that batch once
// more (run.go). Values that may not be seen hold a canary, which is looked for in every answer.
//
// The principal may connect and read everything but one table; so each effect is a mistake. That the
// oracle sees effects at all is shown by a second principal, to whom everything is allowed and who sends
// the same attacks: most must have one (sanity.go).
//
// What it trusts: the direct connection. Where to start: Main, then run.go.
package attack
