package front

import (
	"net/http"
	"sync"
)

// verdict is what a call has come to that the status of its answer has to say. Tools find it out while the library already
// works on the answer, and it knows no status but its own.
type verdict struct {
	mu     sync.Mutex
	ended  string   // the caller's proof holds no longer: why
	scopes []string // that the caller's token would need; nil: it needs none
}

func (v *verdict) end(cause string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended == "" {
		v.ended = cause
	}
}

func (v *verdict) get() (ended string, scopes []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ended, v.scopes
}

// Lacks notes that what the caller asked for takes a token with these scopes. The answer becomes a 403 that says so (RFC 6750
// section 3.1, insufficient_scope), if it has not begun, and the caller has a provider to ask for such a token. It reports whether
// there is one.
func (c *Caller) Lacks(scopes []string) bool {
	if c.verdict == nil || len(scopes) == 0 || c.Principal.Proof.Issuer == "" {
		return false
	}
	c.verdict.mu.Lock()
	defer c.verdict.mu.Unlock()
	c.verdict.scopes = scopes
	return true
}

// judged is the writer of an answer whose status depends on a verdict: it is looked at once, when the library begins to answer.
type judged struct {
	http.ResponseWriter
	front   *Front
	verdict *verdict
	begun   bool
	over    bool // the library's own answer is not wanted any more
}

// Unwrap lets http.ResponseController find the deadlines.
func (w *judged) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *judged) WriteHeader(status int) {
	if w.begun {
		return
	}
	w.begun = true
	ended, scopes := w.verdict.get()
	switch {
	case ended != "":
		w.refuse()
	case len(scopes) > 0:
		w.Header().Set("WWW-Authenticate", challenge{code: "insufficient_scope", description: "the token lacks a scope that this takes", scopes: scopes}.header(w.front.opt.Resource()))
		w.ResponseWriter.WriteHeader(http.StatusForbidden) // with the library's body, which says what was refused
	default:
		w.ResponseWriter.WriteHeader(status)
	}
}

// refuse answers 401 instead of all else.
func (w *judged) refuse() {
	w.over = true
	w.front.unauthorized(w.ResponseWriter, invalidToken, "the token holds no longer, and what it ran was ended")
}

func (w *judged) Write(p []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	if w.over {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// Flush implements http.Flusher, by which the library knows that it can stream.
func (w *judged) Flush() {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	_ = http.NewResponseController(w.ResponseWriter).Flush() // one that cannot has nothing to flush
}

// finish answers for a library that gave up without a word, as it does when the call's context has ended.
func (w *judged) finish() {
	if ended, _ := w.verdict.get(); ended != "" && !w.begun {
		w.begun = true
		w.refuse()
	}
}
