// Package checkpoint writes and reads signed checkpoints of the log: how many records there are and the
// root hash of the Merkle tree over them, in the C2SP tlog-checkpoint format (v1.0.0) as a C2SP signed
// note, so that others' tools verify them:
//
//	gate.example/log
//	20852163
//	CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//
//	— gate.example/log Az3grlgtzPICa5OS8npVmf1Myq/5IZni...
//
// The origin names the log; its keys have the same name. Extension lines are signed with the rest.
//
// # Keys
//
// The directory of keys holds checkpoint.key (private, for its owner alone), checkpoint.pub (the first
// public key, which auditors are given by a way of their own and trust) and, once a key has been
// replaced, checkpoint.keys: one signed note for each replacement, in which the key until then
// introduces the next one (keys.go). Whoever trusts the first key can follow from there.
//
// # Keys outside of files
//
// Everything that signs takes a note.Signer: a name, a key hash, and Sign for a message. A security module
// or a key service is one more implementation; NewSigner makes it of a public key and a function that
// asks for the signature. The signature is Ed25519 over the text itself, not over a digest of it.
//
// # What it trusts, what it refuses
//
// It trusts the verifiers that it is given. It refuses text in any form but the one that Format writes, a
// checkpoint of another origin, one that no trusted key has signed, one that a key signed which was
// replaced before that size, and private keys that others may read. Whoever stole a replaced key can
// still sign trees up to the size at which it was replaced, and a replacement of their own: a proof of
// consistency with a later checkpoint, and witnesses, catch that; signatures alone do not.
//
// Where to start: Sign and Open in checkpoint.go; Keys in keys.go; LoadSigner in file.go.
package checkpoint
