package mask

import (
	"bytes"
	"net/netip"
)

// email recognises an address around the '@' at position at (RFC 5321, unquoted local parts). Bytes
// beyond ASCII count as letters.
func email(src []byte, from, at int) Finding {
	start := at
	for start > from && at-start < 64 && localByte(src[start-1]) {
		start--
	}
	for start < at && (src[start] == '.' || src[start] == '\'' || src[start] == '-') {
		start++
	}
	if start == at || src[at-1] == '.' {
		return Finding{}
	}
	end, dot := at+1, 0
	for end < len(src) && end-at < 254 && (isAlnum(src[end]) || src[end] >= 0x80 || src[end] == '-' || src[end] == '.') {
		if src[end] == '.' {
			if src[end-1] == '.' || src[end-1] == '@' {
				break
			}
			dot = end
		}
		end++
	}
	for end > at+1 && (src[end-1] == '.' || src[end-1] == '-') {
		end--
		if dot >= end {
			dot = bytes.LastIndexByte(src[:end], '.')
		}
	}
	if dot <= at || end-dot < 3 || isDigit(src[end-1]) {
		return Finding{}
	}
	return Finding{start, end, "email"}
}

func localByte(c byte) bool {
	if isAlnum(c) || c >= 0x80 {
		return true
	}
	switch c {
	case '.', '_', '%', '+', '-', '\'', '!', '#', '$', '&', '*', '=', '?', '^', '~':
		return true
	}
	return false
}

// colons recognises what a colon can be part of: credentials in a URL, a hardware address, an IPv6 address.
func colons(src []byte, from, i int) Finding {
	if i+2 < len(src) && src[i+1] == '/' && src[i+2] == '/' {
		return urlCredentials(src, i+3)
	}
	if f := mac(src, from, i); f.Kind != "" {
		return f
	}
	return ipv6(src, from, i)
}

// dashes recognises what a hyphen can be part of: a private key, a hardware address.
func dashes(src []byte, from, i int) Finding {
	if i+1 < len(src) && src[i+1] == '-' {
		return privateKey(src, i)
	}
	return mac(src, from, i)
}

// urlCredentials finds user:password before the '@' of a URL's authority (RFC 3986 section 3.2.1).
func urlCredentials(src []byte, start int) Finding {
	password := false
	for i := start; i < len(src) && i-start < 512; i++ {
		switch c := src[i]; {
		case c == ':':
			password = true
		case c == '@':
			if !password {
				return Finding{}
			}
			return Finding{start, i, "credentials"}
		case c <= ' ' || c == '/' || c == '?' || c == '#' || c == '"' || c == '\'' || c == '<' || c == '>' || c == '\\':
			return Finding{}
		}
	}
	return Finding{}
}

// ipv6 wants "::" or seven colons, so that times of day and casts cost nothing.
func ipv6(src []byte, from, i int) Finding {
	if i+1 >= len(src) || (src[i+1] != ':' && !isHex(src[i+1])) {
		return Finding{}
	}
	start, end, colons, empty := i, i, 0, false
	for start > from && i-start < 40 && (isHex(src[start-1]) || src[start-1] == ':') {
		if start--; src[start] == ':' {
			return Finding{} // looked at from there already
		}
	}
	for at := start; at < len(src) && at-i < 46 && (isHex(src[at]) || src[at] == ':' || src[at] == '.'); at++ {
		if src[at] == ':' {
			colons++
			empty = empty || at > start && src[at-1] == ':'
		}
		end = at + 1
	}
	if colons < 7 && !empty {
		return Finding{}
	}
	for end > start && src[end-1] == '.' {
		end--
	}
	if end-start < 6 || start > from && wordByte(src[start-1]) || end < len(src) && wordByte(src[end]) {
		return Finding{}
	}
	text := src[start:end]
	if a, err := netip.ParseAddr(string(text)); err != nil || !a.Is6() {
		return Finding{}
	}
	return Finding{start, end, "ip"}
}

// alnums are what isAlnum tells.
var alnums = func() (t [256]bool) {
	for c := range t {
		t[c] = isAlnum(byte(c))
	}
	return t
}()

func isHex(c byte) bool    { return isDigit(c) || c|0x20-'a' <= 'f'-'a' }
func wordByte(c byte) bool { return isAlnum(c) || c == '_' || c >= 0x80 }

var (
	pemBegin = []byte("-----BEGIN ")
	pemKey   = []byte("PRIVATE KEY")
	pemEnd   = []byte("-----END ")
	pemDash  = []byte("-----")
)

// privateKey recognises a PEM private key (RFC 7468) up to its end line, or where that is missing to the end
// of the text, of the JSON string or of the XML element that it stands in.
func privateKey(src []byte, i int) Finding {
	if !bytes.HasPrefix(src[i:], pemBegin) {
		return Finding{}
	}
	if head := src[i:min(len(src), i+60)]; !bytes.Contains(head, pemKey) {
		return Finding{}
	}
	body := src[i:]
	if stop := bytes.IndexAny(body, "\"<"); stop >= 0 {
		body = body[:stop]
	}
	if end := bytes.Index(body, pemEnd); end >= 0 {
		end += len(pemEnd)
		if last := bytes.Index(body[end:], pemDash); last >= 0 {
			return Finding{i, i + end + last + len(pemDash), "key"}
		}
	}
	return Finding{i, i + len(body), "key"}
}

// keyPrefixes are how well-known services begin their API keys, by the least length of a key.
var keyPrefixes = []struct {
	prefix string
	least  int
}{
	{"AKIA", 20}, {"ASIA", 20}, {"AIza", 39}, {"ghp_", 36}, {"gho_", 36}, {"ghu_", 36}, {"ghs_", 36}, {"ghr_", 36},
	{"github_pat_", 40}, {"glpat-", 20}, {"sk_live_", 24}, {"sk_test_", 24}, {"rk_live_", 24}, {"sk-", 32},
	{"xoxb-", 24}, {"xoxp-", 24}, {"xoxa-", 24}, {"hf_", 30}, {"npm_", 36}, {"SG.", 40}, {"eyJ", 60},
}

// keyFirsts are the bytes that keyPrefixes begin with.
var keyFirsts = func() (t [256]bool) {
	for _, k := range keyPrefixes {
		t[k.prefix[0]] = true
	}
	return t
}()

// apiKey recognises a key around position i, which is a digit or an underscore in it. Only what begins like a
// key is read to its end, so that a long run of key bytes is not read again from each of them.
func apiKey(src []byte, from, i int) (Finding, int) {
	start := i
	for start > from && i-start < 256 && keyByte(src[start-1]) {
		start--
	}
	if !keyFirsts[src[start]] {
		return Finding{}, i + 1
	}
	for _, k := range keyPrefixes {
		if !bytes.HasPrefix(src[start:], []byte(k.prefix)) {
			continue
		}
		end := i
		for end < len(src) && keyByte(src[end]) {
			end++
		}
		if end-start >= k.least {
			return Finding{start, end, "key"}, end
		}
	}
	return Finding{}, i + 1
}

// keyByte has the dot for JSON web tokens, whose three parts it joins.
func keyByte(c byte) bool { return alnums[c] || c == '_' || c == '-' || c == '.' }
