package verify

import "fmt"

// Report is what was found, in sentences. Evidence is good when there are no problems; what it proves then is in Proven,
// and what it does not in Unproven.
type Report struct {
	Proven   []string
	Unproven []string
	Problems []string

	// Log is the directory of the log that was verified, where it was one; Size says that its records from the first on are those that were signed,
	// with this Root. 0 where they are not.
	Log  string
	Size int64
	Root string
}

// Good is whether nothing is wrong.
func (r *Report) Good() bool { return len(r.Problems) == 0 }

func (r *Report) proven(format string, args ...any) {
	r.Proven = append(r.Proven, fmt.Sprintf(format, args...))
}

func (r *Report) unproven(format string, args ...any) {
	r.Unproven = append(r.Unproven, fmt.Sprintf(format, args...))
}

func (r *Report) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// whose says what the key is worth.
func (r *Report) whose(public, trusted string) {
	switch {
	case trusted == "":
		r.unproven("whose key it is: none was given to compare with %s", public)
	case trusted != public:
		r.problem("the key is %s, and not the one that is trusted, %s", public, trusted)
	default:
		r.proven("the key is the one that is trusted")
	}
}
