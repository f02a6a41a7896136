// Package classify proposes labels for columns that nobody has judged: by type, name, comment and a sample of values.
//
// It is pure: the gateway reads the sample, people decide about the proposals. A proposal says how sure it is and why, in
// words and counts; no value of the sample is ever in it. It errs on the side of hiding: a name that speaks clearly counts
// unless the values contradict it.
//
// It trusts nothing in the schema: names and comments are matched against words of its own and not repeated. Start at
// Propose; words.go has the languages.
package classify
