package mask

// mac is a hardware address in six pairs of hexadecimal digits with colons or hyphens between them
// (IEEE 802, EUI-48); i is where its first separator stands. Longer rows of pairs are fingerprints of
// keys and certificates, which are nobody's.
func mac(src []byte, from, i int) Finding {
	const size = 6*2 + 5
	sep, start := src[i], i-2
	if start < from || start+size > len(src) || src[i+3] != sep {
		return Finding{}
	}
	for at := start; at < start+size; at += 3 {
		if !isHex(src[at]) || !isHex(src[at+1]) || at+2 < start+size && src[at+2] != sep {
			return Finding{}
		}
	}
	if start > 0 && (wordByte(src[start-1]) || src[start-1] == sep) {
		return Finding{}
	}
	if end := start + size; end < len(src) && (wordByte(src[end]) || src[end] == sep) {
		return Finding{}
	}
	return Finding{start, start + size, "mac"}
}
