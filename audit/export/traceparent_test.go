package export

import (
	"encoding/hex"
	"testing"

	"sallyport/internal/access"
)

// A span joins the trace of the caller who named one, below the caller's span; what is no traceparent joins nothing.
func TestSpansJoinTheCallersTrace(t *testing.T) {
	l := newLog(t)
	l.add(&access.Record{Session: "s_bot", Kind: access.RecordOpen, Door: access.DoorMCP, Connection: "shop", Principal: "bot"})
	for _, trace := range []string{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "", "00-4bf9-00f067aa0ba902b7-01"} {
		l.add(&access.Record{Session: "s_bot", Kind: access.RecordStatement, Door: access.DoorMCP, Connection: "shop", Principal: "bot", SQL: "SELECT 1", Traceparent: trace})
	}
	c := newCollector(t)
	start(t, l, t.TempDir(), c.config()).finish()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.spans) != 3 {
		t.Fatalf("%d spans", len(c.spans))
	}
	s := c.spans[0]
	if hex.EncodeToString(s.TraceId) != "4bf92f3577b34da6a3ce929d0e0e4736" || hex.EncodeToString(s.ParentSpanId) != "00f067aa0ba902b7" || len(s.SpanId) != 8 {
		t.Errorf("%v", s)
	}
	if string(c.logs[1].TraceId) != string(s.TraceId) || string(c.logs[1].SpanId) != string(s.SpanId) {
		t.Errorf("the log record is in trace %x", c.logs[1].TraceId)
	}
	for _, s := range c.spans[1:] {
		if len(s.ParentSpanId) != 0 || len(s.TraceId) != 16 || string(s.TraceId) != string(c.logs[0].TraceId) {
			t.Errorf("%v", s)
		}
	}
}
