// Package testdb starts throw-away PostgreSQL servers from the machine's own binaries: for tests,
// for the evals, and for `sallyport demo`.
//
// A server lives in a temporary directory of its own, listens on 127.0.0.1 on a free port and on a
// Unix socket in that directory, runs as an unprivileged user when we are root (PostgreSQL refuses
// root), and never syncs to disk. It ends with the process that started it, however that process
// ends: a small shell holds the read end of a pipe of ours, and when the pipe closes it stops the
// server and deletes the directory.
//
// It trusts the binaries it finds. It refuses to guess: without PostgreSQL it fails and says how
// to get one. It dials nothing but the servers it started.
//
// Tests begin with Shared and (*Server).NewDatabase, everything else with Start. Nothing here
// imports "testing", so that the demo can use it; TB is the part of testing.TB that is needed.
package testdb
