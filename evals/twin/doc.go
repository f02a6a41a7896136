// Package twin asks whether a masked principal can tell two databases apart that differ only in
// labelled values.
//
// A World is a pair of servers with the same schema and the same object identifiers (one sequence
// of operations makes both) and a gateway before each, with the same configuration. A shape is a
// statement, or a few in a row, by which a labelled value might flow into an answer. Each shape runs
// through each door on both sides, and everything that came back is compared: row descriptions, row
// bytes, order, counts, command tags, notices, errors with all fields (package wire).
//
// Four kinds of principal, each with a second twin of its own: redact (any value may differ, and
// whether it is NULL), token (the second twin is a consistent renaming of the first), partial and
// generalise (values differ only outside the declared image of their mask). See values.go, generalise.go.
//
// Where a shape has a server write a file, into {DIR}, the file is what counts, not the error.
//
// What it trusts: the direct connection, as the oracle of which shapes read labelled data at all: a
// shape does when its direct answers differ between the twins. What is not wrong: an answer that
// differs from itself when it is asked twice on one side (counted, and compared as a set of rows).
//
// Where to start: Run. Shapes are in shapes/*.tsv (name, tab, SQL, optional tab and flags; " ;; "
// separates statements sent one after the other; flags: nt, not inside a transaction; refuse, DESIGN
// and THREATS want it refused, for example because it stores a masked value, runs SQL given as text or
// calls a user's function without a permit) and in the corpora's leaks/shapes.tsv.
package twin
