package mask

import "bytes"

// several gives the end of a list of names that begins with p, or 0: Ann, Ivan and Jane; Novak and Miller were.
func several(src []byte, p person) int {
	items, given, loose, end := 1, 0, 0, p.end
	sure := func(what uint32) bool { return what&aGiven != 0 && what&(aWord|aPlace) == 0 }
	if sure(p.what) {
		given++
	}
	if p.rest.title {
		return 0
	}
	solid := p.what&isName != 0 && p.what&(aWord|aPlace) == 0 // one of them is surely a name
	if p.what&isName == 0 {
		loose++
		solid = surnameForm(src[p.start:p.end])
	}
	pair := false
	for items < 12 {
		at := end
		last := false // the one after "and"
		if at < len(src) && src[at] == ',' {
			at++
		}
		if at == len(src) || src[at] != ' ' {
			break
		}
		at++
		if n := and(src[at:]); n > 0 {
			at, last = at+n, true
		} else if src[at-2] != ',' {
			break
		}
		if at >= len(src) || !beginsCapital(src, at) {
			break
		}
		stop := wordEnd(src, at)
		word := src[at:stop]
		what := knownAs(word)
		if what&(aStop|aThing|aFirst) != 0 || what&isName == 0 && ordinary(firstPart(word)) {
			return 0
		}
		next, rest := surnames(src, stop)
		if rest.place || rest.title {
			return 0
		}
		items++
		if sure(what) {
			given++
		}
		solid = solid || what&isName != 0 && what&(aWord|aPlace) == 0 || what&isName == 0 && surnameForm(word) || rest.known
		if what&isName == 0 {
			loose++
		}
		end, pair = next, last && items == 2
		if last {
			break
		}
	}
	switch {
	case items >= 3 && given >= 2 && given*2 >= items:
		return end
	case pair && (solid || loose == 1) && loose < 2 && plural(src[end:]),
		pair && given == 2 && prose(src, p.start, end, 2):
		return end
	}
	return 0
}

// and gives the length of a word for "and" with its blank, or 0.
func and(text []byte) int {
	for _, s := range ands {
		if bytes.HasPrefix(text, []byte(s)) {
			return len(s)
		}
	}
	return 0
}

// plural tells whether a sentence goes on about two: with a word in small letters that is no verb in -s, as it would be
// about a firm.
func plural(text []byte) bool {
	if len(text) < 3 || text[0] != ' ' || text[1] < 'a' || text[1] > 'z' {
		return false
	}
	word := text[1:]
	for k, c := range word {
		if !isLetter(c) {
			word = word[:k]
			break
		}
	}
	return len(word) > 2 && word[len(word)-1] != 's' && !connectives[string(word)]
}

// owns gives the word in small letters that follows "'s", or nil.
func owns(src []byte, end int) []byte {
	rest := src[end:]
	switch {
	case bytes.HasPrefix(rest, []byte("'s ")):
		rest = rest[3:]
	case bytes.HasPrefix(rest, []byte("’s ")):
		rest = rest[len("’s "):]
	default:
		return nil
	}
	return smallWord(rest)
}

// smallWord gives the word of at least three small letters that begins a text, or nil.
func smallWord(text []byte) []byte {
	n := 0
	for n < len(text) && text[n]-'a' <= 'z'-'a' {
		n++
	}
	if n < 3 {
		return nil
	}
	return text[:n]
}

// acts tells whether a verb follows that is of people; with is also "is" and "was", which are of whatever has a name of
// two words too.
func acts(src []byte, end int, is bool) bool {
	if end+4 >= len(src) || src[end] != ' ' || src[end+1]-'a' > 'z'-'a' {
		return false
	}
	if word := smallWord(src[end+1:]); word != nil {
		return len(word) <= longestDeed && deeds[string(word)] || is && string(word) == "was"
	}
	return is && bytes.HasPrefix(src[end:], []byte(" is "))
}

// lineEnds tells whether a line or text ends at end, perhaps with a point.
func lineEnds(src []byte, end int) bool {
	if end < len(src) && (src[end] == '.' || src[end] == ',') {
		end++
	}
	return end >= len(src) || src[end] == '\n' || src[end] == '\r'
}

// ownLine tells whether nothing else stands on a line of several, but for the marks of a quotation or list before it.
func ownLine(src []byte, start, end int) bool {
	for end < len(src) && (src[end] == ' ' || src[end] == '\r' || src[end] == ',') {
		end++
	}
	if end < len(src) && src[end] != '\n' {
		return false
	}
	for n := 0; start > 0 && n < 6 && bytes.IndexByte(lineMarks, src[start-1]) >= 0; n++ {
		start--
	}
	return (start == 0 || src[start-1] == '\n') && (start > 0 || end < len(src))
}

var lineMarks = []byte(" >*|?-#\t")

// sentenceStart tells whether what begins at i begins a sentence, so that its capital means nothing.
func sentenceStart(src []byte, i int) bool {
	for i > 0 && (src[i-1] == ' ' || src[i-1] == '"' || src[i-1] == '(' || src[i-1] == '\'') {
		i--
	}
	return i == 0 || bytes.IndexByte([]byte(".!?\n:;>*"), src[i-1]) >= 0 || escaped(src, i)
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
