// Package verify checks evidence for somebody who does not trust whoever hands it over: the directory of a log, a
// bundle that was made from one, or the certificate of an erasure. It works offline and needs no key of a record.
//
// It shares no code with the writer of the log but the formats of checkpoints and proofs; it reads segments by their
// description in package audit. It depends on the standard library and golang.org/x/mod alone. Start with
// Trust.Path.
package verify
