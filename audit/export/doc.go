// Package export sends the records of the log elsewhere: to a file, an HTTPS webhook, a syslog server or an
// OpenTelemetry collector, and its sealed segments with the newest checkpoint to an S3-compatible store. It reads the log's files beside the gateway (audit.Tail), so nothing of it is on the way of a
// statement, and what is sent is on disk before.
//
// # What it promises
//
// Each exporter goes through the positions of the log one by one, in order, and keeps a durable cursor: the position
// that its receiver acknowledged last. A batch is sent until it is acknowledged; only then is the cursor moved and the
// next one read. So no position is left out, and after an outage or a kill it goes on where it was. A batch that was
// received and whose acknowledgement was lost comes again: on the wire it is at least once, and each record carries
// the log's id and its position, by which a receiver knows what it has. The file sink reads that position
// back from its own file and is exactly once.
//
// What cannot be sent is never passed over. A position that the receiver refuses for its content, a gap in the log,
// damage, another log than the cursor's, or a log that is shorter than what was sent already stops the exporter: its
// status says so, the operator's log says so again and again, and somebody has to decide.
//
// # What it does not do
//
// What has left cannot be called back: erasing a person destroys keys of the log, not copies elsewhere. Config.Without
// leaves fields out.
//
// Where to start: Set in set.go, exporter.run in exporter.go; a format is an encoder (json.go, ocsf.go), a transport is a
// sink (file.go, webhook.go, syslog.go, otlp.go); segments leave by uploader.go.
package export
