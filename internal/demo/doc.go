// Package demo sets up what `sallyport demo` shows: a throw-away PostgreSQL with a shop full of
// synthetic people, a configuration and policies for a gateway before it, and a guided tour.
//
// It runs no gateway itself: it writes a configuration, and the program serves that as it serves any
// other, so the demo shows the real thing. Nobody in the data exists: names are common ones put
// together at random, addresses are on example domains, telephone numbers from ranges reserved for
// fiction, and card numbers from issuers' test ranges.
//
// Its identity provider approves everybody: provider.go. It is the tests' own, and trusted by nothing but this configuration.
//
// Start at Prepare. people.go makes the people, shop.sql the tables, files.go the configuration,
// postgres.go finds or fetches a server, banner.go says how to use it, tour.go walks through it all.
package demo
