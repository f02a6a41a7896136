package audit

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"sync/atomic"
	"time"
	"unicode/utf8"
	"unsafe"

	"sallyport/internal/access"
)

var (
	errTime  = errors.New("a time in a record is outside years 1 to 9999")
	errPlan  = errors.New("the plan of a record is not JSON")
	errOrder = errors.New("the order, revocation or view of a record is not JSON")
)

// A record is written in three pieces, each members of a JSON object that begin with a comma. Together they
// are what encoding/json would decode to the same record; record_test.go holds the two together.
// Times are written in UTC.

// appendHead appends what stays in clear, but for the position.
func appendHead(dst []byte, rec *access.Record) ([]byte, error) {
	dst = append(dst, `,"session":`...)
	dst = appendString(dst, rec.Session)
	dst = append(dst, `,"seq":`...)
	dst = strconv.AppendUint(dst, rec.Seq, 10)
	dst, err := appendTime(append(dst, `,"time":`...), rec.Time)
	if err != nil {
		return dst, err
	}
	dst = append(dst, `,"kind":`...)
	dst = appendString(dst, string(rec.Kind))
	if rec.Intent != 0 {
		dst = append(dst, `,"intent":`...)
		dst = strconv.AppendUint(dst, rec.Intent, 10)
	}
	if rec.Kind == access.RecordClose { // the number of records of the session, which a check needs
		dst = optInt(dst, `,"rows":`, rec.Rows)
	}
	dst = optString(dst, `,"root":`, rec.Root)
	if len(rec.Open) > 0 {
		dst = append(dst, `,"open":`...)
		for i, o := range rec.Open {
			dst = append(dst, listMark(i))
			dst = append(dst, `{"session":`...)
			dst = appendString(dst, o.Session)
			dst = append(dst, `,"seq":`...)
			dst = strconv.AppendUint(dst, o.Seq, 10)
			dst = append(dst, '}')
		}
		dst = append(dst, ']')
	}
	return optInt(dst, `,"probes":`, rec.Probes), nil
}

// appendTrace appends who asked, under which policy, and with what outcome.
func appendTrace(dst []byte, rec *access.Record) ([]byte, error) {
	dst = optString(dst, `,"door":`, string(rec.Door))
	dst = optString(dst, `,"connection":`, rec.Connection)
	dst = optString(dst, `,"principal":`, rec.Principal)
	dst = optString(dst, `,"actor":`, rec.Actor)
	dst = optStrings(dst, `,"groups":`, rec.Groups)
	dst = optStrings(dst, `,"behind":`, rec.Behind)
	if rec.Proof != nil {
		var err error
		if dst, err = appendProof(append(dst, `,"proof":`...), rec.Proof); err != nil {
			return dst, err
		}
	}
	dst = optString(dst, `,"client":`, rec.Client)
	dst = optString(dst, `,"task":`, rec.Task)
	dst = optString(dst, `,"ticket":`, rec.Ticket)
	dst = optString(dst, `,"traceparent":`, rec.Traceparent)
	dst = optString(dst, `,"approval":`, rec.Approval)
	if len(rec.Plan) > 0 {
		if !validPlan(rec.Plan) {
			return dst, errPlan
		}
		dst = append(dst, `,"plan":`...)
		dst = append(dst, rec.Plan...)
	}
	for _, raw := range []json.RawMessage{rec.Order, rec.Scope, rec.Revoked, rec.Viewed} {
		if len(raw) > 0 && !json.Valid(raw) {
			return dst, errOrder
		}
	}
	dst = optRaw(dst, `,"order":`, rec.Order)
	dst = optRaw(dst, `,"revoked":`, rec.Revoked)
	if rec.Kind != access.RecordClose {
		dst = optInt(dst, `,"rows":`, rec.Rows)
	}
	dst = optInt(dst, `,"bytes":`, rec.Bytes)
	dst = optStrings(dst, `,"columns":`, rec.Columns)
	if rec.Truncated {
		dst = append(dst, `,"truncated":true`...)
	}
	dst = optString(dst, `,"digest":`, rec.Digest)
	dst = optInt(dst, `,"detected":`, int64(rec.Detected))
	dst = optInt(dst, `,"unchecked":`, int64(rec.Unchecked))
	dst = optString(dst, `,"command":`, rec.Command)
	dst = optString(dst, `,"code":`, rec.Code)
	return optInt(dst, `,"micros":`, rec.Micros), nil
}

// appendContent appends what may speak of a person whom the data is about.
func appendContent(dst []byte, rec *access.Record) []byte {
	dst = optRaw(dst, `,"scope":`, rec.Scope)
	dst = optRaw(dst, `,"viewed":`, rec.Viewed)
	dst = optString(dst, `,"goal":`, rec.Goal)
	dst = optString(dst, `,"reason":`, rec.Reason)
	dst = optString(dst, `,"sql":`, rec.SQL)
	dst = optStrings(dst, `,"params":`, rec.Params)
	if len(rec.Nulls) > 0 {
		dst = append(dst, `,"nulls":`...)
		for i, n := range rec.Nulls {
			dst = strconv.AppendInt(append(dst, listMark(i)), int64(n), 10)
		}
		dst = append(dst, ']')
	}
	dst = optStrings(dst, `,"persons":`, rec.Persons)
	if len(rec.Result) > 0 {
		dst = append(dst, `,"result":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, rec.Result)
		dst = append(dst, '"')
	}
	if len(rec.Formats) > 0 {
		dst = append(dst, `,"formats":`...)
		for i, f := range rec.Formats {
			dst = append(dst, listMark(i))
			dst = strconv.AppendInt(dst, int64(f), 10)
		}
		dst = append(dst, ']')
	}
	if len(rec.Review) > 0 {
		dst = append(dst, `,"review":`...)
		dst = append(dst, rec.Review...)
	}
	dst = optString(dst, `,"error":`, rec.Error)
	return optString(dst, `,"hint":`, rec.Hint)
}

// appendProof appends a proof as a JSON object.
func appendProof(dst []byte, p *access.Proof) ([]byte, error) {
	at := len(dst)
	dst = optString(dst, `,"method":`, string(p.Method))
	dst = optString(dst, `,"issuer":`, p.Issuer)
	dst = optString(dst, `,"subject":`, p.Subject)
	dst = optString(dst, `,"client":`, p.Client)
	dst = optString(dst, `,"sid":`, p.Session)
	dst = optString(dst, `,"token":`, p.Token)
	dst = optString(dst, `,"twin":`, p.Twin)
	dst = optString(dst, `,"credential":`, p.Credential)
	for _, t := range []struct {
		key string
		at  time.Time
	}{{`,"issued":`, p.Issued}, {`,"since":`, p.Since}, {`,"authenticated":`, p.Authenticated}, {`,"expires":`, p.Expires}} {
		if t.at.IsZero() {
			continue
		}
		var err error
		if dst, err = appendTime(append(dst, t.key...), t.at); err != nil {
			return dst, err
		}
	}
	dst = optString(dst, `,"acr":`, p.ACR)
	dst = optStrings(dst, `,"amr":`, p.AMR)
	if p.BreakGlass {
		dst = append(dst, `,"break_glass":true`...)
	}
	dst = optStrings(dst, `,"scopes":`, p.Scopes)
	return append(dst[:at], object(dst[at:])...), nil
}

// object makes a JSON object of members in place.
func object(members []byte) []byte {
	if len(members) == 0 {
		return append(members, "{}"...)
	}
	members[0] = '{'
	return append(members, '}')
}

// appendRecord appends rec as one JSON object.
func appendRecord(dst []byte, rec *access.Record) ([]byte, error) {
	dst = strconv.AppendUint(append(dst, payloadStart...), rec.Position, 10)
	dst, err := appendHead(dst, rec)
	if err == nil {
		dst, err = appendTrace(dst, rec)
	}
	if err != nil {
		return dst, err
	}
	dst = appendContent(dst, rec)
	if rec.Erased {
		dst = append(dst, `,"erased":true`...)
	}
	return append(dst, '}'), nil
}

func listMark(i int) byte {
	if i == 0 {
		return '['
	}
	return ','
}

func optString(dst []byte, key, s string) []byte {
	if s == "" {
		return dst
	}
	return appendString(append(dst, key...), s)
}

func optRaw(dst []byte, key string, raw json.RawMessage) []byte {
	if len(raw) == 0 {
		return dst
	}
	return append(append(dst, key...), raw...)
}

func optStrings(dst []byte, key string, list []string) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(dst, key...)
	for i, s := range list {
		dst = appendString(append(dst, listMark(i)), s)
	}
	return append(dst, ']')
}

func optInt(dst []byte, key string, n int64) []byte {
	if n == 0 {
		return dst
	}
	return strconv.AppendInt(append(dst, key...), n, 10)
}

func appendTime(dst []byte, t time.Time) ([]byte, error) {
	t = t.UTC()
	if y := t.Year(); y < 1 || y > 9999 {
		return dst, errTime
	}
	return append(t.AppendFormat(append(dst, '"'), time.RFC3339Nano), '"'), nil
}

const hexDigits = "0123456789abcdef"

// plain marks the ASCII bytes that stand for themselves in a JSON string.
var plain = func() (t [utf8.RuneSelf]bool) {
	for c := range t {
		t[c] = c >= ' ' && c != '"' && c != '\\' && c != 0x7f
	}
	return t
}()

// appendString appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD, as encoding/json
// has it.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if plain[c] {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, s[start:i]...)
			dst = append(dst, `\ufffd`...)
			start = i + n
		}
		i += n
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// plansSeen remembers plans that were found to be JSON, by address. A plan is made once and recorded
// each time it runs; callers do not change it afterwards. Keeping the address keeps the memory from
// being used for another plan.
var plansSeen [256]atomic.Pointer[planSeen]

type planSeen struct {
	at  *byte
	len int
}

func validPlan(p json.RawMessage) bool {
	at := unsafe.SliceData(p)
	h := uint64(uintptr(unsafe.Pointer(at))) * 0x9e3779b97f4a7c15 >> 56
	slot := &plansSeen[h]
	if s := slot.Load(); s != nil && s.at == at && s.len == len(p) {
		return true
	}
	if !json.Valid(p) {
		return false
	}
	slot.Store(&planSeen{at, len(p)})
	return true
}
