package pgwire

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"sallyport/internal/access"
)

// TestNoCauseWhereThereIsNone: the log names what is behind an error where something is, and nothing else.
func TestNoCauseWhereThereIsNone(t *testing.T) {
	for text, ae := range map[string]*access.Error{
		"msg=refused message=no":            {Message: "no"},
		"msg=refused message=no cause=disk": {Message: "no", Err: errors.New("disk")},
	} {
		var b bytes.Buffer
		slog.New(slog.NewTextHandler(&b, nil)).Info("refused", "message", ae.Message, cause(ae))
		if got := b.String(); !strings.HasSuffix(got, text+"\n") {
			t.Errorf("%q, want %q at its end", got, text)
		}
	}
}
