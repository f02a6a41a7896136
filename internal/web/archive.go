package web

// Archive is what the program gives of the record: this door may not read it itself.
type Archive struct{}
