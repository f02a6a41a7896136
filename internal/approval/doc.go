// Package approval keeps the statements that wait for a person, and what was decided about them.
//
// A Request says what somebody wants to run. It goes through states
//
//	pending  -> approved | denied | expired | cancelled
//	approved -> claimed | expired | cancelled
//	claimed  -> executed | failed | unknown
//
// and nothing else: Next is the whole of it, a pure function, which model_test.go explores. Each step is recorded
// before it is made, and made by compare-and-set on the request's revision in a bbolt file, so that of two reviewers, or
// of an approval and the end of the time for it, one comes first and the other is told.
//
// What an approval allows is a Grant: the exact statement once, one form of statement several times, a class of statements
// on named tables for some time, or named columns unmasked for some time. A Grant never widens who may do what: the
// policies are asked again when the statement runs, and an approval stands in for @review alone.
//
// The zero State, Mode and Verdict stand for nothing that would allow anything.
package approval
