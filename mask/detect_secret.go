package mask

import "bytes"

// keyPrefixes are forms of keys and tokens that name themselves, with how many characters of the key's
// alphabet have to follow.
var keyPrefixes = []struct {
	prefix string
	least  int
}{
	{"AKIA", 16}, {"ASIA", 16}, // AWS access key ids
	{"ghp_", 36}, {"gho_", 36}, {"ghs_", 36}, {"ghu_", 36}, {"github_pat_", 40}, // GitHub
	{"glpat-", 20},               // GitLab
	{"xoxb-", 20}, {"xoxp-", 20}, // Slack
	{"sk_live_", 20}, {"rk_live_", 20}, {"sk-", 32}, // Stripe and others
	{"AIza", 35},       // Google
	{"eyJhbGciOi", 30}, // a JSON web token's header
}

func keyByte(c byte) bool { return word(c) || c == '-' || c == '.' }

func apiKey(src []byte, i int) (finding, bool) {
	if i > 0 && word(src[i-1]) {
		return finding{}, false
	}
	for _, k := range keyPrefixes {
		if src[i] != k.prefix[0] || !bytes.HasPrefix(src[i:], []byte(k.prefix)) {
			continue
		}
		to := i + len(k.prefix)
		for to < len(src) && keyByte(src[to]) {
			to++
		}
		if to-i-len(k.prefix) >= k.least {
			return finding{i, to, "[key]"}, true
		}
	}
	return finding{}, false
}

// privateKey is a PEM block of a private key, up to its end or that of the text.
func privateKey(src []byte, i int) (finding, bool) {
	rest := src[i:]
	if !bytes.HasPrefix(rest, []byte("-----BEGIN ")) {
		return finding{}, false
	}
	head := rest[:min(len(rest), 64)]
	if !bytes.Contains(head, []byte("PRIVATE KEY")) {
		return finding{}, false
	}
	end := bytes.Index(rest, []byte("-----END "))
	if end < 0 {
		return finding{i, len(src), "[key]"}, true
	}
	if tail := bytes.Index(rest[end+9:], []byte("-----")); tail >= 0 {
		return finding{i, i + end + 9 + tail + 5, "[key]"}, true
	}
	return finding{i, len(src), "[key]"}, true
}

// urlSecret is the user information of a URL (RFC 3986 section 3.2.1) that has a password. i is at a colon.
func urlSecret(src []byte, i int) (finding, bool) {
	if !bytes.HasPrefix(src[i:], []byte("://")) {
		return finding{}, false
	}
	from, colon := i+3, false
	for to := from; to < len(src) && to-from < 256; to++ {
		switch c := src[to]; {
		case c == '@':
			return finding{from, to, "[credentials]"}, colon && to > from
		case c == ':':
			colon = true
		case c <= ' ' || bytes.IndexByte([]byte("/?#\"'<>"), c) >= 0:
			return finding{}, false
		}
	}
	return finding{}, false
}
