// Package vouch has others vouch for a log: witnesses cosign its checkpoints, and time-stamping authorities say when one
// existed. It also tells, from the files that this leaves, how far the log is vouched for.
//
// It looks at the log's newest checkpoint every second and takes no lock, so the log neither waits for it nor knows of
// it: a witness that is away costs nothing but the time until it has cosigned. A checkpoint is on disk before it is
// shown to anybody, for otherwise an honest crash would look like a rollback.
//
// # Files
//
// In the folder "vouched" of the log:
//
//	policy                  the witnesses' public keys and how many are enough (C2SP tlog-policy)
//	witness.KEYHASH         the last checkpoint that a witness has cosigned, with its cosignature
//	timestamp.SIZE          a checkpoint as the log signed it
//	timestamp.SIZE.tsr      what an authority said of it (RFC 3161 TimeStampToken, DER)
//	roots.pem               the authorities' certificates that were trusted
//	health                  who did not answer last, and since when; a hint, of no weight
//
// # What it trusts, what it refuses
//
// It trusts the witnesses' keys and the authorities' roots that it is configured with, and whatever it keeps was verified
// with them. Refuse, before a log starts, is an error where a witness has seen more of the log than there is, or something
// else: it was rolled back or forked, and must not go on. Whoever verifies must take keys and roots from elsewhere than
// this folder: who can write the log can write them too.
//
// Where to start: Voucher in vouch.go; Read in read.go.
package vouch
