// Package replay renders the records of a session or a task as an asciicast v3, the file of a terminal session that
// asciinema's tools play (https://docs.asciinema.org/manual/asciicast/v3/): what was asked and why, what was
// decided, and the result as the client saw it, with masked values as blocks.
//
// It is made from the record alone and holds nothing that the record does not. The same records and options give the
// same bytes; Version says which renderer they are of, and stands in the header.
//
// It trusts nobody's text: values, SQL, names and reasons pass show.Clean, so that the only control sequences in a replay are
// colours and line ends of this package. Blocks (▒) are its own as well: where a value holds one it is shown as an escape.
//
// Where to start: Make, which puts the moments of all sessions in order (moments.go); step.go and result.go draw
// them; cast.go writes the file.
package replay
