package oidc

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxToken  = 16 << 10 // bytes of a token; MCP's and PostgreSQL's messages could be longer
	maxDepth  = 32       // of objects and arrays within claims
	maxString = 256      // bytes of kid, sub, client_id and names of groups
)

// LooksLike reports whether a bearer token is a signed JWT rather than one of the gateway's own: those have no dots.
func LooksLike(token string) bool { return strings.Count(token, ".") == 2 }

// header is what the gateway reads of a JOSE header.
type header struct{ alg, kid, typ string }

// Of the members of a header that bring their own key, or change what the rest means (RFC 7515, 7797, 7516), none is honoured by anybody
// who knows the issuer's keys: where one stands, somebody tries something.
var foreign = []string{"crit", "b64", "jwk", "jku", "x5u", "enc", "zip"}

// decode reads the compact form of a signed token without verifying anything.
func decode(raw string) (header, map[string]any, error) {
	if len(raw) > maxToken {
		return header{}, nil, refuse(Form, "%d bytes; at most %d are taken", len(raw), maxToken)
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" {
		return header{}, nil, refuse(Form, "not the three parts of a signed token")
	}
	if parts[2] == "" {
		return header{}, nil, refuse(Signature, "the token is not signed")
	}
	if _, err := segment(parts[2]); err != nil {
		return header{}, nil, refuse(Form, "the signature is not base64url")
	}
	h, err := object(parts[0])
	if err != nil {
		return header{}, nil, err
	}
	for _, name := range foreign {
		if _, there := h[name]; there {
			return header{}, nil, refuse(Header, "%q is not taken", name)
		}
	}
	var out header
	for name, to := range map[string]*string{"alg": &out.alg, "kid": &out.kid, "typ": &out.typ} {
		v, there := h[name]
		s, isString := v.(string)
		if there && (!isString || len(s) > maxString) {
			return header{}, nil, refuse(Header, "%q is not a string, or too long", name)
		}
		*to = s
	}
	out.typ = strings.TrimPrefix(strings.ToLower(out.typ), "application/")
	claims, err := object(parts[1])
	return out, claims, err
}

// segment decodes base64url as RFC 7515 has it: without padding, line breaks, or bits that say nothing.
func segment(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, base64.CorruptInputError(0)
	}
	return unpadded.DecodeString(s)
}

var unpadded = base64.RawURLEncoding.Strict()

func object(s string) (map[string]any, error) {
	raw, err := segment(s)
	if err != nil {
		return nil, refuse(Form, "not base64url")
	}
	return parseObject(raw)
}

// parseObject reads one JSON object in which no name stands twice, at any depth: what another reader took for the claim might be the other one.
func parseObject(raw []byte) (map[string]any, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	for {
		if dec.StackDepth() > maxDepth {
			return nil, refuse(Form, "nested too deep")
		}
		if _, err := dec.ReadToken(); err != nil {
			return nil, refuse(Form, "not a JSON object without repeated names") // the library's words quote the claims
		}
		if dec.StackDepth() == 0 {
			break
		}
	}
	if rest := bytes.TrimSpace(raw[dec.InputOffset():]); len(rest) > 0 {
		return nil, refuse(Form, "something follows the JSON object")
	}
	var m map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&m); err != nil || m == nil {
		return nil, refuse(Form, "not a JSON object")
	}
	return m, nil
}

// text gives a claim that is a string; "" where it is absent.
func text(claims map[string]any, name string) (string, error) {
	v, there := claims[name]
	if !there {
		return "", nil
	}
	s, ok := v.(string)
	if !ok || len(s) > maxString || s == "" || strings.ContainsFunc(s, control) {
		return "", refuse(Claims, "%q is not a string of at most %d bytes", name, maxString)
	}
	return s, nil
}

func control(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 }

// texts gives a claim that is a string or an array of strings; nil where it is absent.
func texts(claims map[string]any, name string) ([]string, error) {
	switch v := claims[name].(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []any:
		out := make([]string, 0, len(v))
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, refuse(Claims, "%q has something that is no string", name)
			}
			out = append(out, s)
		}
		return out, nil
	}
	return nil, refuse(Claims, "%q is neither a string nor an array of strings", name)
}

// moment gives a NumericDate (RFC 7519 2); zero where it is absent.
func moment(claims map[string]any, name string) (time.Time, error) {
	v, there := claims[name]
	if !there {
		return time.Time{}, nil
	}
	n, ok := v.(json.Number)
	f, err := n.Float64()
	if !ok || err != nil || math.IsNaN(f) || f <= 0 || f >= 1<<37 {
		return time.Time{}, refuse(Time, "%q is not a time in seconds since 1970", name)
	}
	sec, frac := math.Modf(f)
	return time.Unix(int64(sec), int64(frac*1e9)), nil
}

// words splits a string as OAuth's scope is split: at spaces, and nowhere else.
func words(s string) []string {
	return slices.Collect(strings.FieldsFuncSeq(s, func(r rune) bool { return r == ' ' }))
}
