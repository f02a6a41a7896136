// Package benign asks whether everyday SQL gets through: the gold statements of defog's sql-eval on
// their own schemas, for a principal from whom names, emails, phones and addresses are masked.
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
// Where to start: Main.
package benign
