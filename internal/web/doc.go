// Package web is the door for people who decide, watch and look back: pages for a browser, and a JSON interface for
// `sallyport review`. Pages are made here, whole; a script only renews parts of them, and nothing needs it.
//
// It trusts the core for who somebody is, what they may decide and what is recorded, and whoever wired it for what the
// record holds (Archive). It trusts nothing that a page shows: statements, reasons, goals and names are what attackers
// wrote, and reviewers' browsers are what they wrote them for. Whatever is shown goes through clean or lines, which
// make characters visible that would hide or reorder others.
//
// It refuses requests that name another host than its own (DNS rebinding), changes that come from another origin or
// without the token of their session, agents, and the agents' bearer tokens. What somebody may not see answers as what does not
// exist does.
//
// Start at server.go, which has the routes; visit.go says how each page learns who asks; security.go has what holds for all of them.
package web
