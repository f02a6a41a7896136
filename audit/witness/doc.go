// Package witness speaks C2SP tlog-witness, both ends of it: somebody else keeps the size and root of the
// largest tree that a log has shown, and cosigns a checkpoint only if its tree continues that one.
// Then a log can neither be rolled back nor show two histories without the witness being part of it.
//
// # The protocol
//
// POST /add-checkpoint with "old N", a proof that the tree grew from N, and the checkpoint (Request in
// request.go). Answers: 200 with lines of cosignatures; 409 with the size the witness is at; 422 where
// the proof does not hold; 403 and 404 for keys and logs that it does not know.
//
// # The witness
//
// Witness (server.go) keeps a file for each log with the last checkpoint that it cosigned. A file is replaced
// and on disk before the cosignature is given away, under a lock, and one process at a time has the
// directory. It trusts its own files, and for each log the public keys that it is configured with. It
// refuses smaller trees, other trees of the same size, and proofs that do not hold; two trees of one size,
// both signed, are kept as evidence. Where its file of a log cannot be read it refuses that log.
//
// # The log's side
//
// Client asks one witness once. Feeder does it in the background: it is offered checkpoints, never blocks who
// offers them, and retries with growing pauses. Probe asks all witnesses before a log starts whether one
// has seen more than it has: then the log was rolled back, and must not go on.
//
// A log must have a checkpoint on disk before it shows it to a witness. Otherwise an honest crash looks
// like a rollback.
//
// Where to start: Add in server.go for what a witness promises; Feeder in feeder.go.
package witness
