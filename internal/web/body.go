package web

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	// maxBody is the most that a request may hold: a justification and ranges are short.
	maxBody = 256 << 10
	// bodyTime is how long its body may take to come.
	bodyTime = 5 * time.Second
)

var errSlowBody = errors.New("its body did not come in time")

// whole reads the body of a request before anybody asks who sent it. Who is who by then need not be once the last byte is there: what proved
// them may have been withdrawn meanwhile. That it is too long or too late is for whoever reads it.
func whole(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 {
		return
	}
	// A writer without deadlines, which no server has, waits as long as its reader does.
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Now().Add(bodyTime))
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil { // what has not come is not waited for either once the answer is made
		_ = c.SetReadDeadline(time.Time{}) // else the connection is taken for lost while it is
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errSlowBody
	}
	r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(b), failing{err}))
}

// failing is the end of a body that was not read whole; with nil of one that was.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}
