// Package mutate asks which lines of the guard no test needs. It leaves out one piece of code at a time
// and runs the tests that reach it: where none fails, the piece could be lost unnoticed.
//
// Mutated are the walker and resolver (sqlguard, sqlguard/postgres, sqlguard/rowfilter) and the compiler
// with its verifier (mask, without the detectors). There are two families:
//
//	case   a value of a case clause: what it matched goes where the default goes, or to a later
//	       condition of a switch without tag; and each default clause that can be left out
//	guard  the condition of an if that ends in a refusal is false, or a call that refuses is not made
//
// All mutants are in one program (points.go, edit.go): each file is rewritten once, each point asks
// package mutant at run time whether it is there. Test binaries are built from the rewritten files with
// -overlay, run once to see which test reaches which points (coverage.go), and then once a mutant, with
// the tests that reach it, cheap ones first, until one fails (run.go). What was found is kept (journal.go):
// where a test binary changed, the test that killed a mutant last time is run first. Survivors meet the
// slow tests, and those of internal/gateway.
//
// equivalents.txt lists mutants that no test can kill, with the reason. It is reviewed like code: an entry
// that matches no mutant or one that a test kills is an error.
//
// It trusts that a test which fails fails because of the mutant: all pass before with nothing left out.
// Start with Main.
package mutate
