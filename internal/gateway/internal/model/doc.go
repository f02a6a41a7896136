// Package model asks a recogniser of named entities about texts: a server that speaks the protocol of Presidio's
// analyzer (POST /analyze), on this machine or behind https.
//
// It trusts the server with the texts, for it is shown them, and with nothing else: an answer that is late, too large, or
// speaks of places that a text does not have is an error, and whoever asked has to hide what was asked about. The texts
// are in no error and in no log. Where the server keeps failing, it is left alone for a while, and all questions fail at once.
//
// Start with Client.Ask.
package model
