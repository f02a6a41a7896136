// Package evals is the home of what judges Sallyport from outside: leak checks, false-block checks,
// benchmarks and other projects' test suites, each run through every door it applies to.
//
// Everything here is black box: it builds the binary, writes a configuration file, runs `sallyport
// serve` against throw-away PostgreSQL servers (internal/testdb) and connects as clients do. It
// trusts the direct connection to those servers as the oracle, and nothing that the gateway says
// about itself.
//
// Where to start: one program a question under cmd/, each a few lines over a package beside it.
//
//	harness   builds and runs the gateway, finds the corpora
//	results   the one writer of results.json, and RESULTS.md made from it
//	wire      a client that writes down every message of the server
//	doors     every way to put a statement to a gateway
//	agent     an MCP client that writes down what came back
//	twin      two databases that differ only in labelled values must answer alike
//	leak      values that are nowhere else, looked for in whatever comes back; beside other systems
//	sqlsmith  the same, for statements that a fuzzer invents
//	fuzztwin  the same, for random statements of a grammar, each kind of mask and row filters
//	attack    attacks have no effect on the server, and show nothing that is withheld
//	benign    everyday SQL must be answered, and answered the same outside labelled cells
//	bench     speed beside direct connections and pgbouncer
//	regress   PostgreSQL's own regression suite through the door
//	clients   psql, pg_dump, pgbench and drivers work
//	planning  what a statement costs before it is sent
//	mutate    which pieces of the guard and compiler no test needs
//	soak      large results and many clients in flat memory
//	tamper    evidence that was changed: the verifier finds it and names it
//	crash     the gateway killed at random points, and with a disk that fails
//	erasure   one of several people erased: what is left in the bytes
//	approval  held statements: how soon they go on, and attacks on what was approved
//	browser   the door for people, in headless Chromium
//	bundle    how long evidence of a long session takes to make and to verify
//	commit    what a durable record costs, beside bbolt and SQLite
//	search    how soon the newest records are found among 10 million
//	detect    the detectors, on texts whose personal data is marked
//	classify  what `sallyport classify` proposes for columns of which it is known what they hold
//
// A figure that misses its bound (results.Required) makes its program exit with status 1.
package evals
