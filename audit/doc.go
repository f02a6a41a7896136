// Package audit is the record of everything that was asked, decided and released: an append-only log
// of access.Record in one directory, durable before anything it speaks of leaves the gateway.
//
// # Layout
//
// A directory holds LOCK (held by the one process that writes), segments named after the position of their
// first record, keys (the keys of records), signing (the keys of checkpoints), checkpoint (the newest one), and
// the trees (tree, closed). A segment is a header (segment.go: log id, first position, root of the Merkle tree
// before, the sessions open at that point) followed by frames:
//
//	[length u32][back u32][crc32c u32][payload]     little endian; crc over length, back and payload
//
// The payload is a head in clear, as one line of JSON, and two sealed parts (seal.go). back is the distance in
// bytes to the start of the batch that the frame was written with. A batch is only begun when the batch before
// it is on disk, so a bad frame followed by a good one of the same batch is a write cut short by a crash,
// and a bad frame followed by a good one of a later batch is damage. A head holds no NUL byte and a length
// always does, and nobody chooses what the sealed parts look like: no payload can contain something that
// looks like a frame.
//
// Segments are filled with zeros before they are used, so that a commit overwrites blocks that exist
// and fdatasync has no metadata to write.
//
// # Evidence
//
// Leaves of a Merkle tree (RFC 6962, tree.go) are hashes of payloads as they are on disk. Every ten seconds, and
// when the log is closed, its root is signed (sign.go, package checkpoint), with that of a second tree over
// the sessions that have ended, whose close records carry their number of records and the root over them. A log
// that is not what was signed does not open. What only somebody outside can notice, a directory that was put
// back as a whole, witnesses are for (package witness).
//
// Every record has keys of its own, which follow from a tree of keys (keytree.go) so that one can be destroyed
// and the others stay: what is erased (erase.go) cannot be read any more, and every proof about it still holds. What is
// done to the record is itself recorded, in records of no session (orders.go): an erasure that was proposed (propose.go),
// or carried out, by somebody or because its time had come (retain.go); a hold, which keeps records from it, and its
// end (hold.go). A crash during an erasure is made good by Open (puncture.go). Package office says who may.
// Who was taken out of a record's texts before it was recorded is found by tags, under keys of people (persons.go).
// The files of keys may themselves be wrapped by a key that lies elsewhere (wrap.go).
//
// # A commit
//
// Enqueue encodes a record, gives it its position and adds it to the open batch. The first caller that
// waits when nobody is writing wakes the committer, a goroutine on a thread of its own: it takes the
// batch, writes it and syncs it. Whoever comes meanwhile joins the next batch, which the committer takes
// when the running sync ends. There are no timers: a batch is what came in during the sync before it.
// Callers of an event loop register with Await instead, and the loop kicks once for all of them.
//
// # What it trusts, what it refuses
//
// It trusts the file system to keep what fdatasync acknowledged, and its caller for what the records
// say. A failed or short write or a failed sync ends the log: the state of the file is unknown from then on, so
// every later Append fails and nothing more is acknowledged. When there is no room for the next segment, the end
// of the running one is kept for refusals and the ends of what runs (reserve.go). Open refuses a directory that
// is in use, that cannot be written, whose log is damaged, or shorter than what was signed; it only ever
// cuts off the unfinished end.
//
// Where to start: Log.Enqueue and Log.wait in log.go; Open in open.go; Read in read.go; Check in
// check.go for what a sound log means; Render in render.go for what a person sees.
package audit
