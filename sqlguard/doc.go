// Package sqlguard decides whether a principal may run a statement, and how. It is pure: facts about
// the statement, the catalog, labels and policies go in, a decision with obligations comes out. No
// I/O, no clock, no logger.
//
// Its subpackages find out what it judges by: postgres turns SQL into facts, registry knows what the
// server's built-in functions do, policy holds the Cedar policies.
//
// It trusts the facts; whoever makes them must refuse what they cannot tell. It refuses, by default,
// everything: a zero Decision denies, and so does every error on the way. Start at Decide.
package sqlguard
