package mask

import "bytes"

// name recognises a person's name that begins with the capital at i, by what stands around it: a title or
// "my name is" before it, a greeting before a known given name, or a known given name before a surname.
// Precision comes first: capitals are no proof, and a value that is nothing but a name without such words
// is a column of names (or of bands and brands), which is for labels to say.
func name(src []byte, from, i int) Finding {
	if i > 0 && wordByte(src[i-1]) && !escaped(src, i) {
		return Finding{}
	}
	end := wordEnd(src, i)
	if end-i < 2 || isUpper(src[i+1]) {
		return Finding{}
	}
	before := src[from:i]
	known := givenNames[string(src[i:end])]
	cued := i > 1 && cueEnds[src[i-2]] && (endsWith(before, titles) || endsInFold(before, introductions)) && !notNames[string(src[i:end])]
	if !cued && !known {
		return Finding{}
	}
	end, words := surnames(src, end)
	if cued || known && endsInFold(before, greetings) {
		return Finding{i, end, "name"}
	}
	if words == 0 || len(bytes.Trim(src, " \t\r\n\"")) == end-i {
		return Finding{}
	}
	return Finding{i, end, "name"}
}

// surnames takes initials, particles and capitalised words after a given name that ends at end, and gives
// the new end and how many words were more than an initial.
func surnames(src []byte, end int) (int, int) {
	words := 0
	for at := end; words < 3 && at+1 < len(src) && src[at] == ' '; {
		start := at + 1
		stop := wordEnd(src, start)
		switch n := stop - start; {
		case n == 0:
			return end, words
		case n == 1 && isUpper(src[start]): // an initial
			if stop < len(src) && src[stop] == '.' {
				stop++
			}
			at = stop
		case particles[string(src[start:stop])]:
			at = stop
		case isUpper(src[start]) && !isUpper(src[start+1]) || src[start] >= 0xc3 && src[start] <= 0xc5:
			words++
			at, end = stop, stop
		default:
			return end, words
		}
	}
	return end, words
}

// wordEnd gives the end of the run of letters, with hyphens and apostrophes between them, that begins at i;
// no name is longer than 40 bytes.
func wordEnd(src []byte, i int) int {
	for most := min(len(src), i+40); i < most && (isLetter(src[i]) || src[i] >= 0x80 || (src[i] == '-' || src[i] == '\'') && i+1 < len(src) && isUpper(src[i+1])); {
		i++
	}
	return i
}

// escaped tells whether the letter before i is the end of a JSON escape for a line break or tab.
func escaped(src []byte, i int) bool {
	return i > 1 && src[i-2] == '\\' && (src[i-1] == 'n' || src[i-1] == 'r' || src[i-1] == 't')
}

func endsWith(text []byte, list []string) bool {
	for _, s := range list {
		if len(text) >= len(s) && string(text[len(text)-len(s):]) == s && (len(text) == len(s) || !wordByte(text[len(text)-len(s)-1])) {
			return true
		}
	}
	return false
}

// endsInFold is endsWith for words in lower case, whatever the case of the text.
func endsInFold(text []byte, list []string) bool {
	for _, s := range list {
		if n := len(text) - len(s); n >= 0 && text[len(text)-1] == s[len(s)-1] && begins(text[n:], s) && (n == 0 || !wordByte(text[n-1])) {
			return true
		}
	}
	return false
}
