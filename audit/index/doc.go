// Package index finds records of the log by what they say: who, in which session, on which relation, with which words.
//
// # What it is made of
//
// A bbolt file beside the log (FILE in the folder index of the data directory), made from the log by position, like
// what an exporter sends, and made anew from it whenever it does not fit. It has, by chunks of 262,144
// positions (set.go), for each term which positions have it; and for each position when it was recorded
// and where in the log it lies (span.go). The newest chunk comes last in the file, so that indexing appends, and a
// search goes through the chunks from the newest, intersects, and stops when its page is full.
//
// Terms are keyed hashes (HMAC-SHA256, key.go) of a field with a value: the file holds no word, no name and no
// number that a record holds. The price is that there is no search for beginnings of words.
//
// # What it trusts, what it refuses
//
// It is never trusted over the log. A search takes candidates from it and reads each from the log; a record is found
// because it is there and says so. What the index may still do is leave out: each value has a checksum, the newest
// record that it knows is compared with the log's, and where anything does not fit (another log, a shorter one, another
// key, damage, a crash in an odd place) the whole file is thrown away and made anew, which Update reports.
//
// # Erasure
//
// Keys that have been destroyed are counted (audit.GoneKeys) each time the index is brought up to date. When they are
// more than before, the positions of the records leave all sets, what can still be read of them is put back, the file is
// written anew without free pages, and zeros are put over the old one (purge.go).
//
// # Who holds it
//
// Nobody for long. A gateway in the background and a search at a terminal both open the file for a batch or a page
// under a lock on the file LOCK beside it, so that neither needs the other: there is no second protocol to ask a gateway
// by, and nothing to authorise but access to the data directory, which a search needs for the log anyway.
//
// Where to start: Index.Update in update.go, Index.Search in search.go, commit in build.go for what is written.
package index
