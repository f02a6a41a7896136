package mask

import "bytes"

// name recognises a person's name that begins with the capital at i, and says where to go on if there is
// none. What makes a capitalised word a name is what stands around it: a title or "my name is" before it, a
// greeting before a known given name, or a known given name before another capital in a sentence. Precision
// comes first: capitals are no proof, and a value of names and titles alone is a column of names (or of bands
// and brands), which is for labels to say.
func name(src []byte, from, i int) (Finding, int) {
	end := i + 1
	for end < len(src) && isLetter(src[end]) {
		end++
	}
	resume := end
	if end-i < 2 && (end == len(src) || src[end] < 0x80) || isUpper(src[i+1]) || i > 0 && wordByte(src[i-1]) && !escaped(src, i) {
		return Finding{}, resume
	}
	if end < len(src) && (src[end] >= 0x80 || src[end] == '-' || src[end] == '\'') {
		end = wordEnd(src, end)
	}
	what := names().of(firstPart(src[i:end]))
	hint := cue(src[from:i])
	if what&aGiven == 0 && hint != introduced && (what == 0 || hint == noCue) {
		return Finding{}, resume
	}
	if hint == introduced && notNames[string(src[i:end])] || endsInFold(src[from:i], saints) {
		return Finding{}, resume
	}
	end, after := surnames(src, end)
	switch {
	case after.place:
		return Finding{}, max(resume, end)
	case hint == introduced,
		hint == greeted,
		what&aWord == 0 && after.words > 0 && prose(src, i, end, 1),
		what&aWord != 0 && after.surname && prose(src, i, end, 1),
		what&(aWord|aSurname) == 0 && prose(src, i, end, 3):
		return Finding{i, end, "name"}, end
	}
	return Finding{}, resume
}

// firstPart is a name up to its hyphen: Anne-Marie is known by Anne.
func firstPart(word []byte) []byte {
	if k := bytes.IndexByte(word, '-'); k > 1 {
		return word[:k]
	}
	return word
}

// follow is what comes after a first name.
type follow struct {
	words   int  // that are more than an initial or a particle
	surname bool // one of them is a known surname, and no word of the language
	place   bool // one of them says that it is the name of no person: Bay, Street, Ltd
}

// surnames takes initials, particles and capitalised words after a first name that ends at end.
func surnames(src []byte, end int) (int, follow) {
	var f follow
	for at := end; f.words < 3 && at+1 < len(src) && src[at] == ' '; {
		start := at + 1
		if src[start] == ' ' { // two blanks stand where a middle name is missing
			start++
		}
		stop := wordEnd(src, start)
		switch n := stop - start; {
		case n == 0:
			return end, f
		case n == 1 && isUpper(src[start]): // an initial
			if stop < len(src) && src[stop] == '.' {
				stop++
			}
			at = stop
		case n <= longestParticle && particles[string(src[start:stop])]:
			at = stop
		case isUpper(src[start]) && !isUpper(src[start+1]) || src[start] >= 0xc3 && src[start] <= 0xc5:
			if placeWords[string(src[start:stop])] {
				f.place = true
				return stop, f
			}
			if notNames[string(src[start:stop])] {
				return end, f
			}
			what := names().of(firstPart(src[start:stop]))
			f.surname = f.surname || what&(aSurname|aWord) == aSurname
			f.words++
			at, end = stop, stop
		default:
			return end, f
		}
	}
	return end, f
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

// prose tells whether so many words in small letters are around a place, within a hundred bytes and the JSON string
// that it stands in, not counting those that titles of goods and works have too.
func prose(src []byte, start, end, many int) bool {
	json := src[0] == '{' || src[0] == '['
	n := 0
	for at := start; at > 0 && start-at < 100; {
		stop := at
		for stop > 0 && start-stop < 100 && !wordByte(src[stop-1]) && !(json && src[stop-1] == '"') {
			stop--
		}
		for at = stop; at > 0 && start-at < 100 && wordByte(src[at-1]); {
			at--
		}
		if at == stop {
			break
		}
		if n += small(src[at:stop]); n == many {
			return true
		}
	}
	for at := end; at < len(src) && at-end < 100; {
		first := at
		for first < len(src) && first-end < 100 && !wordByte(src[first]) && !(json && src[first] == '"') {
			first++
		}
		for at = first; at < len(src) && at-end < 100 && wordByte(src[at]); {
			at++
		}
		if at == first {
			break
		}
		if n += small(src[first:at]); n == many {
			return true
		}
	}
	return false
}

// small is 1 for a word in small letters that is no connective.
func small(word []byte) int {
	if len(word) < 2 || word[0] < 'a' || word[0] > 'z' || len(word) <= longestConnective && connectives[string(word)] ||
		len(word) <= longestParticle && particles[string(word)] || bytes.IndexByte(word, '_') >= 0 {
		return 0
	}
	return 1
}
