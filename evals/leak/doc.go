// Package leak is a benchmark of what gets out: every labelled cell of four schemas (a shop, personnel, a
// clinic, a bank) holds a value that is nowhere else, a canary, and whatever comes back from a system is
// searched for every one of them, raw, in hex, base64, reversed, and in slices.
//
// Statements come from two places. The grammar composes relation form x expression x context x protocol
// form into thousands of statements (grammar.go). The hand-written shapes in shapes/*.txt try what
// threats.tsv lists, which is the project's list of what an attacker tries, item by item.
//
// Channels that are searched: values of rows in text and in binary, COPY, column names, errors and notices
// with all fields, notifications, plans, command tags, ParameterStatus, text and structured content of the
// agents' door, the audit log, and what the server holds afterwards outside of labelled columns.
//
// What a search cannot find (one bit of a value: an order, a count, an error or none) the twin check does: a
// second database with other canaries must give the same answers to the same statements, byte by byte.
//
// The same statements are put to other systems (systems.go), so that the figures can be compared. Not all of
// them are made for this; the table says what each is for.
//
// What it trusts: the direct connection, as the control: a statement counts as reading labelled values when
// its direct answers hold a canary or differ between the twins. Start with Main.
package leak
