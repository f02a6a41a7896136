package export

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	logsservice "go.opentelemetry.io/proto/slim/otlp/collector/logs/v1"
	traceservice "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	logs "go.opentelemetry.io/proto/slim/otlp/logs/v1"
	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"sallyport/internal/access"
)

type collector struct {
	*httptest.Server
	mu       sync.Mutex
	fault    func(path string, n int) int // status; 0 takes it
	reject   int64                        // position of which the log record is rejected
	calls    int
	logs     []*logs.LogRecord
	spans    []*trace.Span
	resource []*common.KeyValue
	errors   []string
}

func newCollector(t *testing.T) *collector {
	c := &collector{}
	c.Server = httptest.NewTLSServer(c)
	t.Cleanup(func() {
		c.CloseClientConnections()
		c.Close()
	})
	return c
}

func (c *collector) config() Config {
	roots := x509.NewCertPool()
	roots.AddCert(c.Certificate())
	return Config{Name: "otel", From: FromStart, OTLP: &OTLP{URL: c.URL + "/", Token: "secret", TLS: &tls.Config{RootCAs: roots}, Timeout: 20 * time.Second, Logs: true, Traces: true}}
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	if r.Header.Get("Authorization") != "Bearer secret" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		c.errors = append(c.errors, "headers")
	}
	if c.fault != nil {
		if code := c.fault(r.URL.Path, c.calls); code != 0 {
			w.WriteHeader(code)
			return
		}
	}
	var answer proto.Message
	switch r.URL.Path {
	case "/v1/logs":
		req := new(logsservice.ExportLogsServiceRequest)
		if err := proto.Unmarshal(body, req); err != nil {
			c.errors = append(c.errors, err.Error())
		}
		c.resource = req.ResourceLogs[0].Resource.Attributes
		resp := new(logsservice.ExportLogsServiceResponse)
		for _, rec := range req.ResourceLogs[0].ScopeLogs[0].LogRecords {
			if c.reject != 0 && attr(rec.Attributes, "sallyport.position") == c.reject {
				resp.PartialSuccess = &logsservice.ExportLogsPartialSuccess{RejectedLogRecords: 1, ErrorMessage: "too large"}
				continue
			}
			c.logs = append(c.logs, rec)
		}
		answer = resp
	case "/v1/traces":
		req := new(traceservice.ExportTraceServiceRequest)
		if err := proto.Unmarshal(body, req); err != nil {
			c.errors = append(c.errors, err.Error())
		}
		c.spans = append(c.spans, req.ResourceSpans[0].ScopeSpans[0].Spans...)
		answer = new(traceservice.ExportTraceServiceResponse)
	default:
		c.errors = append(c.errors, r.URL.Path)
	}
	text, _ := proto.Marshal(answer)
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.Write(text)
}

func attr(list []*common.KeyValue, key string) any {
	for _, kv := range list {
		if kv.Key != key {
			continue
		}
		switch v := kv.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			return v.StringValue
		case *common.AnyValue_IntValue:
			return v.IntValue
		}
	}
	return nil
}

func TestOTLPHasLogsAndSpans(t *testing.T) {
	l := newLog(t)
	l.story()
	c := newCollector(t)
	start(t, l, t.TempDir(), c.config()).finish()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.errors {
		t.Error(e)
	}
	if len(c.logs) != 10 || len(c.spans) != 4 {
		t.Fatalf("%d log records, %d spans, want 10 and 4", len(c.logs), len(c.spans))
	}
	if attr(c.resource, "service.name") != "sallyport" || attr(c.resource, "service.version") != "1.2.3" || attr(c.resource, "sallyport.log") == nil {
		t.Errorf("resource %v", c.resource)
	}
	for i, r := range c.logs {
		var rec access.Record
		if err := json.Unmarshal([]byte(attr(r.Attributes, "sallyport.record").(string)), &rec); err != nil || rec.Position != uint64(i+1) || attr(r.Attributes, "sallyport.position") != int64(i+1) {
			t.Errorf("log record %d: %v %v", i+1, rec.Position, err)
		}
		if len(r.TraceId) != 16 || r.TimeUnixNano != uint64(rec.Time.UnixNano()) {
			t.Errorf("log record %d: trace id %x, time %d", i+1, r.TraceId, r.TimeUnixNano)
		}
	}
	one := c.logs[1]
	if attr(one.Attributes, "db.query.text") != "SELECT email FROM customers WHERE name = 'a\u202eb\x1b[2J'" || attr(one.Attributes, "client.address") != "192.0.2.7" ||
		attr(one.Attributes, "client.port") != int64(50123) || attr(one.Attributes, "db.collection.name") != "public.customers" || one.EventName != "sallyport.statement" ||
		attr(one.Attributes, "sallyport.issuer") != "https://id.example" || attr(one.Attributes, "sallyport.subject") != "8f2c" {
		t.Errorf("%v", one)
	}
	if c.logs[6].SeverityNumber != logs.SeverityNumber_SEVERITY_NUMBER_WARN {
		t.Error("a refusal is no warning")
	}
	// The intent and its outcome are one span, which begins with the intent.
	up := c.spans[1]
	if up.Name != "UPDATE" || hex.EncodeToString(up.SpanId) != hex.EncodeToString(c.logs[2].SpanId) || hex.EncodeToString(up.SpanId) != hex.EncodeToString(c.logs[3].SpanId) ||
		up.StartTimeUnixNano != c.logs[2].TimeUnixNano || up.EndTimeUnixNano != c.logs[3].TimeUnixNano || attr(up.Attributes, "db.query.text") != "UPDATE orders SET total = $1" {
		t.Errorf("%v", up)
	}
	if d := c.spans[0].EndTimeUnixNano - c.spans[0].StartTimeUnixNano; d != 3_090_000 {
		t.Errorf("the read took %d ns", d)
	}
	if c.spans[2].Status.Code != trace.Status_STATUS_CODE_ERROR || attr(c.spans[2].Attributes, "error.type") != "42501" {
		t.Errorf("%v", c.spans[2])
	}
	if string(c.spans[2].TraceId) != string(c.spans[3].TraceId) || string(c.spans[0].TraceId) == string(c.spans[2].TraceId) {
		t.Error("a task is one trace, another session another")
	}
	seen := map[string]bool{}
	for _, s := range c.spans {
		if len(s.SpanId) != 8 || seen[string(s.SpanId)] {
			t.Errorf("span id %x", s.SpanId)
		}
		seen[string(s.SpanId)] = true
	}
}

// An intent of before a restart is read again for its outcome's span.
func TestOTLPSpanOverARestart(t *testing.T) {
	l := newLog(t)
	l.add(&access.Record{Session: "s", Kind: access.RecordOpen, Connection: "shop", Principal: "ada", Client: "192.0.2.9:7"})
	in := l.add(&access.Record{Session: "s", Kind: access.RecordIntent, Connection: "shop", Principal: "ada", SQL: "UPDATE orders SET total = 1", Plan: json.RawMessage(writePlan)})
	c := newCollector(t)
	dir := t.TempDir()
	start(t, l, dir, c.config()).finish()
	c.mu.Lock()
	spans := len(c.spans)
	c.mu.Unlock()
	if spans != 0 {
		t.Fatal("a span of what has not ended")
	}
	l.add(&access.Record{Session: "s", Kind: access.RecordOutcome, Connection: "shop", Principal: "ada", Intent: in, Command: "UPDATE 1"})
	start(t, l, dir, c.config()).finish()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.spans) != 1 || c.spans[0].Name != "UPDATE" || attr(c.spans[0].Attributes, "db.query.text") != "UPDATE orders SET total = 1" || attr(c.spans[0].Attributes, "client.address") != "192.0.2.9" {
		t.Errorf("%v", c.spans)
	}
}

func TestOTLPThatFails(t *testing.T) {
	l := newLog(t)
	l.story()
	c := newCollector(t)
	c.fault = func(path string, n int) int {
		if path == "/v1/traces" && n <= 4 {
			return 503
		}
		return 0
	}
	r := start(t, l, t.TempDir(), c.config())
	r.waitError()
	r.waitPosition(10)
	r.finish()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.spans) != 4 || len(c.logs) < 20 {
		t.Errorf("%d spans, %d log records", len(c.spans), len(c.logs))
	}
}

// What the collector says that it dropped is not passed over.
func TestOTLPPartialSuccessStops(t *testing.T) {
	l := newLog(t)
	l.fill(20)
	c := newCollector(t)
	c.reject = 7
	r := start(t, l, t.TempDir(), c.config())
	st := r.waitState(Stopped)
	r.finish()
	if st.Position != 6 || !strings.Contains(st.Error, "record 7: the receiver rejects it: 1 of 1 log records: too large") {
		t.Errorf("%+v", st)
	}
}
