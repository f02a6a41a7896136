// Package mask makes a masked principal see a masked database.
//
// It has four parts, each of which can be read alone:
//
//   - Labels (Resolve) say what each column holds: by rules of the configuration, by catalog
//     comments, by inheritance in both directions and by lineage through views.
//   - Masks and Transform turn a label into an SQL expression over built-ins that keeps the
//     column's type and never raises an error, whatever the value.
//   - Compile rewrites a resolved statement (pgtree.Tree) so that it reads masked values: every
//     reference to a relation with masked columns becomes a subquery of the same shape, references
//     to the columns of a written relation are masked in place. Its result is parsed again and
//     checked by code that shares nothing with the rewriting (verify.go).
//   - Detector finds personal data and secrets in text that no label speaks of. It is a second
//     line: it can only hide more.
//
// The package does no I/O. It trusts the catalog snapshot, the name resolution in the tree and the
// list of masked columns in the decision. It refuses what it cannot compile into a statement that
// depends on masked values only: an unresolved name, a whole row of a written relation, a write
// that would store a masked value, a statement type it does not know.
//
// Start at Compile for the rewriting, at Transform for the masks, at Resolve for the labels.
package mask
