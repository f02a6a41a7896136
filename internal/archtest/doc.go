// Package archtest keeps the tree's promises about who imports whom. It has tests only; rules.go
// holds the rules as a table, so that a diff of that table shows each change of architecture.
//
// The promise that matters most, that a door cannot reach a database, does not rest on this
// package: Go's own rule for internal folders keeps it, and TestDoorsCannotCompileAgainstUpstream
// shows that it does.
package archtest
