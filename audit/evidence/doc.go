// Package evidence makes one zip file of what the record says about a session, a task, a principal or a period, for
// somebody who does not trust us: Write.
//
// # The files
//
//	trace.json             every step, by the published schema (Document in document.go)
//	trace.schema.json      that schema, JSON Schema 2020-12
//	trace.html             the same for people: no script, nothing from elsewhere
//	policy/, labels/       the texts in force, as the caller hands them in
//	checkpoint             the log's signed checkpoint, C2SP tlog-checkpoint
//	proofs/POS.tlog-proof  that the record at position POS is in it, C2SP tlog-proof v1
//	witnesses.policy       the witnesses whose cosignatures the checkpoint has, where there are any
//	timestamp.*            what an authority said of an earlier checkpoint, and that this one continues it
//	log.pub, log.keys      the log's first key and its replacements, where it does not sign the bundle itself
//	key.pub, key.pem       the public key of the signature, for convenience: trust the one that you have
//	proofs/POS.leaf        that record as the tree has it, sealed, where it is asked for
//	extra/                 what else the caller adds, such as a replay
//	VERIFY.md              how to verify, what is proven, what is not
//	attestation.dsse.json  DSSE v1 envelope around an in-toto Statement v1 with the SHA-256 of all files above
//
// The same records, texts and key give the same bytes: names are sorted, times are fixed, signatures are
// Ed25519. Nothing depends on the clock.
//
// # What it trusts, what it refuses
//
// It trusts its caller for the texts in force and for the proofs, and the log for the records. Text of records is
// written by strangers: in JSON it is escaped, in HTML it is escaped and cleaned of control characters, names of
// files are made here. Values of parameters are not in the bundle, only salted commitments to them (params.go);
// rows are not, only their digest, unless the caller adds a replay. It refuses to sign with a key that is not the public one given, and to
// leave a record out for which there is no proof.
//
// Where to start: Write in bundle.go; build in build.go.
package evidence
