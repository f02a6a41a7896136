package pgwire

import (
	"bytes"
	"encoding/json"
	"strings"

	"sallyport/internal/access"
)

const (
	oauthMechanism = "OAUTHBEARER"
	// maxToken is PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH.
	maxToken = 65535
	kvsep    = "\x01"
)

// parseBearer reads a client's response (RFC 7628 section 3.1, as PostgreSQL 18's auth-oauth.c reads it). An empty token asks for
// discovery. form is what is wrong with a token that is none (RFC 6750 section 2.1); err is what is wrong with the message.
func parseBearer(msg []byte) (token string, form, err error) {
	bad := func(what string) (string, error, error) {
		return "", nil, protocolError("malformed OAUTHBEARER message: %s", what)
	}
	if len(msg) == 0 {
		return bad("it is empty")
	}
	switch msg[0] {
	case 'p':
		return bad("channel binding is not offered")
	case 'n', 'y':
	default:
		return bad("it does not begin with a GS2 header")
	}
	rest, ok := bytes.CutPrefix(msg[1:], []byte(","))
	if !ok {
		return bad("it does not begin with a GS2 header")
	}
	if bytes.HasPrefix(rest, []byte("a=")) {
		return "", nil, &access.Error{Kind: access.Unsupported, Code: "0A000", Message: "the client uses an authorization identity, which is not supported", Hint: "name the principal as user, and leave the identity out"}
	}
	if rest, ok = bytes.CutPrefix(rest, []byte(","+kvsep)); !ok {
		return bad("no key follows its GS2 header")
	}
	auth, seen := []byte(nil), false
	for {
		pair, after, ok := bytes.Cut(rest, []byte(kvsep))
		if !ok {
			return bad("it has no end")
		}
		rest = after
		if len(pair) == 0 {
			break
		}
		key, value, ok := bytes.Cut(pair, []byte("="))
		if !ok || !isKey(key) || !isValue(value) {
			return bad("a key or value has a form that it must not have")
		}
		if string(key) != "auth" {
			continue // host and port, and whatever else, are to be ignored
		}
		if seen {
			return bad("it has two tokens")
		}
		auth, seen = value, true
	}
	switch {
	case len(rest) > 0:
		return bad("something follows its end")
	case !seen:
		return bad("it has no token")
	case len(auth) == 0:
		return "", nil, nil
	}
	token, ok = cutScheme(string(auth))
	if !ok {
		return "", &access.Error{Kind: access.Denied, Code: "28000", Message: "the access token has not the form of one", Hint: "send it as it came from the provider"}, nil
	}
	return token, nil, nil
}

// cutScheme gives the token behind "Bearer ", in any case. It is of b64token's characters.
func cutScheme(auth string) (token string, ok bool) {
	const scheme = "bearer"
	if len(auth) <= len(scheme) || !strings.EqualFold(auth[:len(scheme)], scheme) || auth[len(scheme)] != ' ' {
		return "", false
	}
	token = strings.TrimLeft(auth[len(scheme):], " ")
	body := strings.TrimRight(token, "=")
	if body == "" {
		return "", false
	}
	for _, b := range []byte(body) {
		if !isAlpha(b) && (b < '0' || b > '9') && !strings.ContainsRune("-._~+/", rune(b)) {
			return "", false
		}
	}
	return token, true
}

func isAlpha(b byte) bool { return b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' }

func isKey(key []byte) bool {
	return len(key) > 0 && !bytes.ContainsFunc(key, func(r rune) bool { return r > 127 || !isAlpha(byte(r)) })
}

// isValue allows VCHAR, space, tab and line ends.
func isValue(value []byte) bool {
	for _, b := range value {
		if (b < 0x20 || b > 0x7e) && b != '\t' && b != '\r' && b != '\n' {
			return false
		}
	}
	return true
}

// discovery is the error that tells a client where to get a token (RFC 7628 section 3.2.2).
func discovery(p access.Provider) string {
	scopes := []string{"openid"}
	for _, s := range p.LoginScopes {
		if s != "openid" {
			scopes = append(scopes, s)
		}
	}
	text, err := json.Marshal(struct {
		Status        string `json:"status"`
		Scope         string `json:"scope"`
		Configuration string `json:"openid-configuration"`
	}{"invalid_token", strings.Join(scopes, " "), strings.TrimSuffix(p.Issuer, "/") + "/.well-known/openid-configuration"})
	if err != nil {
		panic(err) // three strings can be written
	}
	return string(text)
}
