package web

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
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
	ctx, stop := context.WithTimeout(v.r.Context(), fileTime)
	defer stop()
	var b bytes.Buffer
	if err := make(ctx, &b, d.ID); err != nil {
		return fmt.Errorf("%s of session %s: %w", what, d.ID, err)
	}
	v.s.log.Info("file taken away", "door", "web", "what", what, "session", d.ID, "principal", v.who.Name)
	h := v.w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s%s"`, safeName(d.ID), ending))
	h.Set("Content-Length", fmt.Sprint(b.Len()))
	if _, err := v.w.Write(b.Bytes()); err != nil {
		v.s.log.Debug("file not sent whole", "door", "web", "error", err)
	}
	return nil
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
