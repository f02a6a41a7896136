package export

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	logs "go.opentelemetry.io/proto/slim/otlp/logs/v1"
	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"sallyport/internal/access"
)

// attributes grows a list of key and value; empty values are left out.
type attributes []*common.KeyValue

func (a attributes) str(key, value string) attributes {
	if value == "" {
		return a
	}
	return append(a, &common.KeyValue{Key: key, Value: text(strings.ToValidUTF8(value, "\ufffd"))})
}

func (a attributes) num(key string, value int64) attributes {
	if value == 0 {
		return a
	}
	return append(a, &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: value}}})
}

func (a attributes) list(key string, values []string) attributes {
	if len(values) == 0 {
		return a
	}
	var out []*common.AnyValue
	for _, v := range values {
		out = append(out, text(v))
	}
	return append(a, &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{Values: out}}}})
}

func text(s string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: s}}
}

// described are the attributes of a record, in the names of OpenTelemetry's semantic conventions 1.3x where there are some.
func described(e entry) attributes {
	from, proof := endpoint(e), proofOf(e)
	verb, _, _ := strings.Cut(e.plan.Tag, " ")
	a := attributes{}.
		str("db.system.name", database(e)).str("db.namespace", e.Connection).str("db.operation.name", verb).
		str("db.query.text", statementOf(e)).str("db.response.status_code", e.Code).
		str("user.name", e.Principal).str("session.id", e.Session).
		str("client.address", from.IP).num("client.port", int64(from.Port)).
		num("sallyport.position", int64(e.Position)).str("sallyport.leaf", e.leaf).num("sallyport.seq", int64(e.Seq)).str("sallyport.kind", string(e.Kind)).
		str("sallyport.door", string(e.Door)).str("sallyport.actor", e.Actor).str("sallyport.task", e.Task).
		str("sallyport.method", string(proof.Method)).str("sallyport.issuer", proof.Issuer).str("sallyport.subject", proof.Subject).list("sallyport.behind", e.Behind).
		str("sallyport.reason", e.Reason).str("sallyport.effect", e.plan.Effect).list("sallyport.policies", e.plan.Policies).
		str("sallyport.policy_version", e.plan.PolicyVersion).str("sallyport.fingerprint", e.plan.Fingerprint).
		list("sallyport.relations", e.plan.Relations).num("sallyport.intent", int64(e.Intent)).
		num("sallyport.bytes", e.Bytes).num("sallyport.detected", int64(e.Detected)).str("sallyport.digest", e.Digest)
	if e.Kind != access.RecordClose {
		a = a.num("db.response.returned_rows", e.Rows)
	}
	if len(e.plan.Relations) == 1 {
		a = a.str("db.collection.name", e.plan.Relations[0])
	}
	if failed(e) {
		a = a.str("error.type", e.Code)
	}
	return a
}

func database(e entry) string {
	if e.Connection == "" {
		return ""
	}
	return "postgresql"
}

// logRecord is one record of the log, which is whole in sallyport.record.
func logRecord(e entry) (*logs.LogRecord, error) {
	whole, err := marshal(e.Record)
	if err != nil {
		return nil, err
	}
	r := &logs.LogRecord{
		TimeUnixNano: nanos(e.Time), ObservedTimeUnixNano: nanos(e.Time), EventName: "sallyport." + string(e.Kind),
		SeverityNumber: logs.SeverityNumber_SEVERITY_NUMBER_INFO, SeverityText: "INFO",
		Body: text(summary(e)), Attributes: described(e).str("sallyport.record", string(whole)),
	}
	switch {
	case e.Kind == access.RecordRefused || e.Code == codeUnknown:
		r.SeverityNumber, r.SeverityText = logs.SeverityNumber_SEVERITY_NUMBER_WARN, "WARN"
	case failed(e):
		r.SeverityNumber, r.SeverityText = logs.SeverityNumber_SEVERITY_NUMBER_INFO2, "INFO2"
	}
	r.TraceId = traceID(e)
	if e.Kind != access.RecordOpen && e.Kind != access.RecordClose && e.Kind != access.RecordTask {
		r.SpanId = spanID(e)
	}
	return r, nil
}

// span is a statement, made when it has ended; nil for other records.
func span(e entry) *trace.Span {
	switch e.Kind {
	case access.RecordStatement, access.RecordOutcome, access.RecordRefused:
	default:
		return nil
	}
	begin := e.Time.Add(-time.Duration(e.Micros) * time.Microsecond)
	if e.intent != nil && e.intent.Time.Before(begin) {
		begin = e.intent.Time
	}
	name := e.plan.Tag
	if name == "" {
		name = string(e.Kind)
	}
	s := &trace.Span{TraceId: traceID(e), SpanId: spanID(e), Name: name, Kind: trace.Span_SPAN_KIND_SERVER,
		StartTimeUnixNano: nanos(begin), EndTimeUnixNano: nanos(e.Time), Attributes: described(e), Status: &trace.Status{}}
	_, s.ParentSpanId = caller(e)
	if failed(e) {
		s.Status = &trace.Status{Code: trace.Status_STATUS_CODE_ERROR, Message: strings.ToValidUTF8(e.Error, "\ufffd")}
	}
	return s
}

func nanos(t time.Time) uint64 { return uint64(t.UnixNano()) }

// caller is the trace that the caller says it is in, and its span there (W3C Trace Context, 3.2.2); nil for none.
func caller(e entry) (traceID, spanID []byte) {
	f := strings.Split(e.Traceparent, "-")
	if len(f) != 4 {
		return nil, nil
	}
	t, err1 := hex.DecodeString(f[1])
	s, err2 := hex.DecodeString(f[2])
	if err1 != nil || err2 != nil || len(t) != 16 || len(s) != 8 {
		return nil, nil
	}
	return t, s
}

// traceID is the caller's, or else the same for all of a task, or of a session. It follows from the log, so that what is sent again is the
// same span.
func traceID(e entry) []byte {
	if id, _ := caller(e); id != nil {
		return id
	}
	what := "session " + e.Session
	if e.Task != "" {
		what = "task " + e.Task
	}
	sum := sha256.Sum256([]byte(e.log + " trace " + what))
	return sum[:16]
}

// spanID is the same for an intent, its parts and its outcome.
func spanID(e entry) []byte {
	pos := e.Position
	if e.Intent != 0 {
		pos = e.Intent
	}
	sum := sha256.Sum256([]byte(e.log + " span " + strconv.FormatUint(pos, 10)))
	return sum[:8]
}
