// Package access holds the nouns that the rest of Sallyport speaks in: who asks (Principal), what
// for (Task), with what (Statement facts), what was decided (Decision, Obligations), what a column
// holds (Label, Mask) and what is written down (Record).
//
// It has no logic beyond small accessors, does no I/O and imports nothing of ours, so every other
// package may import it. Zero values deny: a zero Effect is a denial, zero Facts are not a pure
// read, a zero Principal is nobody.
package access
