// Package policy reads Cedar policies and answers whether a principal may do one thing to one
// resource, and under which obligations.
//
// It trusts the policy files' author and nothing else: the text is checked against the built-in
// schema (schema.cedarschema) when it is loaded, so that a misspelt action, entity type, attribute or
// annotation is an error with its line and not a rule that never matches. It refuses by default:
// no permit, any forbid, any policy whose evaluation fails, a nil or zero Set, and a principal
// without a name or kind all give the zero Verdict, which does not allow.
//
// What a SQL statement needs is not known here; sqlguard.Decide turns facts into requests. Start at
// Load for what a policy file may hold and at Set.Is for how a request is judged.
package policy
