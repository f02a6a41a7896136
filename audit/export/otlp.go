package export

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	logsservice "go.opentelemetry.io/proto/slim/otlp/collector/logs/v1"
	traceservice "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	logs "go.opentelemetry.io/proto/slim/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// OTLP is an OpenTelemetry collector: OTLP 1.x over HTTP, protobuf, at URL/v1/logs and URL/v1/traces. A batch is taken when
// both have answered 2xx and rejected nothing.
type OTLP struct {
	URL     string
	Token   string // bearer token, or ""
	TLS     *tls.Config
	Timeout time.Duration // of a request; 30 s when 0
	Logs    bool          // a log record for each record
	Traces  bool          // a span for each statement
}

type otlp struct {
	*Poster
	conf    OTLP
	version string
}

func newOTLP(c *OTLP, version string) (*otlp, error) {
	if !c.Logs && !c.Traces {
		return nil, errors.New("neither logs nor traces are to be sent")
	}
	conf := *c
	conf.URL = strings.TrimSuffix(conf.URL, "/")
	p, err := NewPoster(conf.URL, c.TLS, c.Timeout)
	if err != nil {
		return nil, err
	}
	return &otlp{Poster: p, conf: conf, version: version}, nil
}

func (o *otlp) send(ctx context.Context, b *batch) error {
	res := &resource.Resource{Attributes: attributes{}.
		str("service.name", "sallyport").str("service.version", o.version).str("sallyport.log", b.log)}
	scope := &common.InstrumentationScope{Name: "sallyport/audit", Version: o.version}
	if o.conf.Logs {
		var records []*logs.LogRecord
		for _, e := range b.entries {
			r, err := logRecord(e)
			if err != nil {
				return &rejected{why: err.Error()}
			}
			records = append(records, r)
		}
		answer := new(logsservice.ExportLogsServiceResponse)
		err := o.export(ctx, "/v1/logs", &logsservice.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{
			Resource: res, ScopeLogs: []*logs.ScopeLogs{{Scope: scope, LogRecords: records}}}}}, answer)
		if err != nil {
			return err
		}
		if p := answer.GetPartialSuccess(); p.GetRejectedLogRecords() > 0 {
			return &rejected{why: fmt.Sprintf("%d of %d log records: %s", p.GetRejectedLogRecords(), len(records), p.GetErrorMessage())}
		}
	}
	if !o.conf.Traces {
		return nil
	}
	var spans []*trace.Span
	for _, e := range b.entries {
		if s := span(e); s != nil {
			spans = append(spans, s)
		}
	}
	if len(spans) == 0 {
		return nil
	}
	answer := new(traceservice.ExportTraceServiceResponse)
	err := o.export(ctx, "/v1/traces", &traceservice.ExportTraceServiceRequest{ResourceSpans: []*trace.ResourceSpans{{
		Resource: res, ScopeSpans: []*trace.ScopeSpans{{Scope: scope, Spans: spans}}}}}, answer)
	if err != nil {
		return err
	}
	if p := answer.GetPartialSuccess(); p.GetRejectedSpans() > 0 {
		return &rejected{why: fmt.Sprintf("%d of %d spans: %s", p.GetRejectedSpans(), len(spans), p.GetErrorMessage())}
	}
	return nil
}

func (o *otlp) export(ctx context.Context, path string, request, answer proto.Message) error {
	body, err := proto.Marshal(request)
	if err != nil {
		return &rejected{why: err.Error()}
	}
	header := http.Header{"Content-Type": {"application/x-protobuf"}, "User-Agent": {"sallyport/" + o.version}}
	if o.conf.Token != "" {
		header.Set("Authorization", "Bearer "+o.conf.Token)
	}
	text, err := o.Post(ctx, path, header, body)
	if err != nil {
		return err
	}
	if err := proto.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("it answers 2xx with what is no OTLP: %w", err)
	}
	return nil
}
