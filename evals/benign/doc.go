// Package benign asks whether everyday SQL gets through, others' and our own: first of all the gold
// statements of defog's sql-eval on their own schemas, for a principal from whom names, emails, phones and
// addresses are masked.
//
// A statement is in when the server itself accepts it. It is answered the same when, with rows taken
// as a multiset,
//
//   - its answer through the door equals the direct answer ("plain"), or
//   - its answer equals the direct answer of a copy of the database in which labelled columns really
//     hold what the door shows ("masked"): it reads labelled columns, and masked values are what it
//     computes with. Cells without a label are then the same by construction.
//
// The copy is made through the door itself (every table read whole), so what the detectors hide in
// unlabelled text is the same there; such cells are counted apart (benign.defog.detected_cells).
//
// Rows are those of the schemas' own INSERTs plus generated ones: fresh keys, and values recombined
// from each column's own, so that joins and predicates find something. BIRD's statements come without
// schemas; see bird.go.
//
// Beside others' corpora there are statements of this project's own (own/, own.go): analytics in the manner
// of TPC-H and TPC-DS, what pgAdmin, DBeaver and drivers ask when they start, and psql itself with its
// commands. They have to be answered as the server does, for a masked principal who may only read; what is
// refused on purpose is marked in the files.
//
// Where to start: Main.
package benign
