// Package fuzztwin asks the twin question of statements that nobody wrote, many of them: does anything that comes
// back tell the two databases apart, or hold a raw value?
//
// Statements come from a grammar of its own, random and recursive (grammar/*.txt holds what it is made of: adding a
// line there is all it takes), and from sqlsmith. They go through the PostgreSQL door in several protocol forms
// and through the agents' query tool, for each kind of principal: every mask, and a row filter, where the twins
// differ in hidden rows too. What changes rows runs in a transaction that is rolled back. twin.Judge compares.
//
// What is not a difference: rows in another order, or another choice of rows by LIMIT without an order, where the
// server chose another plan by its statistics of raw values (docs/rough-edges.md). Such a statement is asked once more
// on copies of the databases without these statistics, and has to give the same there; it is counted apart.
//
// A statement that fails is made small (minimise.go) and written to testdata/found, which TestFound asks again. The
// same seed and number give the same statement: that of the grammar depends on nothing else, and sqlsmith's come in the same
// order.
//
// Where to start: Main, then run.go.
package fuzztwin
