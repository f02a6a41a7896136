// Package tlsconf is what the doors show for certificates.
//
// A certificate comes from two files, which are looked at again at handshakes, at most once a second, and when Look is called; or it is
// the gateway's own, made under an authority that is kept in a directory, so that clients which are given the authority's certificate
// can check it (sslmode=verify-full).
//
// It trusts who may write these files. It refuses to begin without a usable pair; later, what cannot be used leaves the one of before in
// place, and is told in the log. It asks no client who they are: a door that wants certificates of its clients says so in the tls.Config
// that it gets.
//
// Start with Open.
package tlsconf
