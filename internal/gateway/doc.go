// Package gateway is the core: every door calls Session.Do (or Session.Query, which is Do with the
// answer decoded), and nothing else in Sallyport can make a database run a statement.
//
// # The life of a statement
//
//  1. parse and resolve   sqlguard/postgres   text -> tree, facts (relations, columns, functions)
//  2. decide              sqlguard            facts + principal + policy -> decision, obligations
//  3. compile             mask                tree + decision -> the statement that really runs; under
//     @review it is held here until reviewers have approved it, and judged anew (hold.go)
//  4. record the intent   audit               durable before a byte goes upstream, unless the
//     statement is a pure read: that one is sent at once and recorded with its outcome
//  5. execute             internal/upstream
//  6. watch the result    mask                detectors over free text; messages are filtered
//  7. record the outcome  audit               durable
//  8. release             the door's Sink
//
// Steps 1 to 3 make a plan (plan.go). Plans are cached under everything that they depend on (cache.go),
// for texts and for shapes, texts that differ only in literals (shape.go).
//
// What it trusts: the configuration, the policy files, the database's own catalog. What it refuses: all
// that it cannot judge. Where to start: Session.Do in do.go.
package gateway
