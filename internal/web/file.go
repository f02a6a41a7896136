package web

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// fileTime is how long making and sending a file may take.
const fileTime = 10 * time.Minute

// file sends what the archive makes of the session of the address, once it is whole: a file that cannot be made is an error, not a part.
func (v *visit) file(what, ending, kind string, make func(context.Context, io.Writer, string) error) error {
	d, err := v.traceData(v.r.PathValue("session")) // whoever may not see it gets no file of it
	if err != nil {
		return err
	}
	if d.Task || make == nil {
		return errNotFound
	}
	if err := v.viewed(what, d.ID, ""); err != nil {
		return err
	}
	// This takes longer than a page may. A writer without deadlines keeps the one it has.
	_ = http.NewResponseController(v.w).SetWriteDeadline(time.Now().Add(fileTime))
	ctx, stop := v.whileLoggedIn(fileTime)
	defer stop()
	var b bytes.Buffer
	err = make(ctx, &b, d.ID)
	if v.gone() {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s of session %s: %w", what, d.ID, err)
	}
	v.s.log.Info("file taken away", "door", "web", "what", what, "session", d.ID, "principal", v.who.Name)
	h := v.w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s%s"`, safeName(d.ID), ending))
	h.Set("Content-Length", fmt.Sprint(b.Len()))
	for b.Len() > 0 {
		if ctx.Err() != nil { // a part of a file that says how long it is is none
			v.s.log.Info("file not sent whole: the log-in has ended, or time is over", "door", "web", "what", what, "session", d.ID, "principal", v.who.Name)
			panic(http.ErrAbortHandler)
		}
		if _, err := v.w.Write(b.Next(sentAtOnce)); err != nil {
			v.s.log.Debug("file not sent whole", "door", "web", "error", err)
			return nil
		}
	}
	return nil
}

// sentAtOnce is how much of a file is sent between two looks at whether its reader is still logged in.
const sentAtOnce = 64 << 10

// whileLoggedIn is a context that ends with the request, after limit, or with the visitor's log-in. stop waits for what it has begun.
func (v *visit) whileLoggedIn(limit time.Duration) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithTimeout(v.r.Context(), limit)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-v.session.ended:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() { cancel(); watching.Wait() }
}

// safeName is an id with nothing but letters, digits and signs that no file system minds.
func safeName(id string) string {
	out := []byte(id)
	for i, c := range out {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || digit(c) || c == '_' || c == '-') {
			out[i] = '_'
		}
	}
	return string(out)
}
