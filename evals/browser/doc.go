// Package browser uses the door for people as people do: in headless Chromium, in front of the real binary and a real
// PostgreSQL, with psql waiting in a process of its own.
//
// Each flow is something that somebody does from beginning to end (flows*.go), by a password or by an identity provider of
// another site (provider.go). Pages are found by following links, for each role, and every one is inspected (inspect.go):
// axe-core in both colour schemes, a phone's width, what the console and the content security policy say, requests that go
// elsewhere, markup of attackers that came to life. A page that the door serves and no link leads to is a finding (crawl.go).
//
// It trusts nothing that it looks with: before anything else, faults of every kind are put in a page and have to be found
// (sanity.go). Start with Main.
package browser
