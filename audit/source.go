package audit

import "sallyport/internal/access"

// Source calls f with records of a log, in order, each a record of its own, until f gives an error, which it returns.
type Source func(f func(*access.Record) error) error

// Whole is the Source of all records of the log in dir: Read.
func Whole(dir string) Source {
	return func(f func(*access.Record) error) error { return Read(dir, f) }
}
