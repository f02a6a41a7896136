package mask

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// name recognises a person's name that begins with the capital at i, and says where to go on if there is
// none. What makes a capitalised word a name is what it is known as and what stands around it: a title or "my name is"
// before it, the label of a field, a known given name before another capital in a sentence, a list of given names, a
// line of its own. Capitals are no proof, and a value of names and titles alone is a column of names (or of bands
// and brands), which is for labels to say.
func name(src []byte, from, i int) (Finding, int) {
	end := i + 1
	for end < len(src) && isLetter(src[end]) {
		end++
	}
	resume := end
	if end-i < 2 && (end == len(src) || src[end] < 0x80 && src[end] != '\'') || i > 0 && wordByte(src[i-1]) && !escaped(src, i) {
		return Finding{}, resume
	}
	if i > 1 && src[i-1] == '-' && isAlnum(src[i-2]) || end+1 < len(src) && src[end] == '-' && isDigit(src[end+1]) {
		return Finding{}, resume // a part of an id
	}
	if end < len(src) && (src[end] >= 0x80 || src[end] == '-' || src[end] == '\'') {
		end = wordEnd(src, end)
	}
	word := src[i:end]
	if end-i < 2 || end < len(src) && (src[end] == '@' || src[end] == '_' || src[end] == '.' && end+1 < len(src) && isAlnum(src[end+1])) {
		return Finding{}, resume
	}
	what := knownAs(word)
	if what&(aStop|aFirst) != 0 {
		return Finding{}, resume
	}
	hint := cue(src[:i])
	if what&isName == 0 && hint != introduced && (hint < spoken && !namesFollow(src, end) || ordinary(firstPart(word))) ||
		isUpper(src[i+1]) && end-i > 2 && hint < spoken {
		return Finding{}, resume
	}
	run := person{what: what, hint: hint, start: i}
	run.end, run.rest = surnames(src, end)
	if run.rest.place || hint == thing {
		return Finding{}, max(resume, run.end)
	}
	if run.is(src) {
		return Finding{i, run.end, "name"}, run.end
	}
	if last := several(src, run); last > 0 {
		return Finding{i, last, "name"}, last
	}
	return Finding{}, resume
}

// namesFollow tells whether what comes after a word in no list can make it a name: another capital, or a list.
func namesFollow(src []byte, end int) bool {
	if end+2 >= len(src) {
		return false
	}
	return src[end] == ',' || src[end] == '\'' || src[end] == 0xe2 || acts(src, end, true) || src[end] == ' ' && (beginsCapital(src, end+1) || src[end+1] == ' ' || and(src[end+1:]) > 0 || end+4 < len(src) && src[end+4] == ' ' && familyParticles[string(src[end+1:end+4])])
}

// person is what may be a name: the word that begins it, and what follows.
type person struct {
	what       uint32 // what the first word is known as
	hint       int    // what stands before it
	start, end int
	rest       follow
}

// is tells whether there is enough to take it for a name.
func (p *person) is(src []byte) bool {
	given, listed, town := p.what&aGiven != 0, p.what&isName != 0, p.what&aPlace != 0
	sure := listed && p.what&aWord == 0
	switch {
	case p.hint == introduced:
		return true
	case p.hint == greeted && given,
		p.hint == labelled && (p.rest.words > 0 || given || sure && !town || !listed && lineEnds(src, p.end)):
		return true
	case p.hint == spoken && (sure && (!town || p.rest.words > 0) || p.rest.known || !listed && (p.rest.unknown || owns(src, p.end) != nil)):
		return true
	case p.rest.words == 0 && p.rest.title: // Emma Original
		return false
	case given && sure && p.rest.words > 0, p.rest.known && p.what&aWord == 0, given && p.rest.known,
		given && (p.rest.initial || p.rest.unknown && !sentenceStart(src, p.start)) && p.rest.words > 0:
		return prose(src, p.start, p.end, 1) || ownLine(src, p.start, p.end) || owns(src, p.end) != nil
	case personal[string(owns(src, p.end))]:
		return true
	case !listed && p.rest.initial && p.rest.words > 0:
		return prose(src, p.start, p.end, 1) || ownLine(src, p.start, p.end)
	case !listed && p.rest.unknown, sure && !given && p.rest.words > 0:
		return acts(src, p.end, true)
	case given && sure && !town:
		return prose(src, p.start, p.end, 3) || owns(src, p.end) != nil
	}
	return (sure || !listed) && acts(src, p.end, false)
}

// knownAs tells what a word is known as, in whatever letters.
func knownAs(word []byte) uint32 {
	part := firstPart(word)
	if len(part) > 2 && isUpper(part[1]) && len(part) < 32 {
		var titled [32]byte
		titled[0] = part[0]
		for k, c := range part[1:] {
			titled[k+1] = lower(c)
		}
		if what := names().of(titled[:len(part)]); what != 0 {
			return what
		}
	}
	return names().of(part)
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
	known   bool // one of them is a known name, and no word of the language
	unknown bool // one of them is in no list
	initial bool // there is one, or a particle that only names have
	title   bool // an ordinary word with a capital ended them
	place   bool // one of them says that it is the name of no person: Bay, Street, Ltd
}

// surnames takes initials, particles and capitalised words after a first name that ends at end.
func surnames(src []byte, end int) (int, follow) {
	var f follow
	for at := end; f.words < 4 && at+1 < len(src) && src[at] == ' '; {
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
			f.initial = true
			at = stop
		case n == 3 && familyParticles[string(src[start:stop])]:
			f.initial = true
			at = stop
		case n <= longestParticle+1 && (particles[string(src[start:stop])] || greatParticles[string(src[start:stop])]):
			at = stop
		case n <= 3 && generations[string(src[start:stop])]:
			if stop < len(src) && src[stop] == '.' {
				stop++
			}
			return stop, f
		case beginsCapital(src, start):
			word := src[start:stop]
			what := knownAs(word)
			if what&aThing != 0 {
				f.place = true
				return stop, f
			}
			if what&aStop != 0 || isUpper(word[1]) && n < 4 {
				return end, f
			}
			if what&isName == 0 && ordinary(firstPart(word)) {
				f.title = true
				return end, f
			}
			f.known = f.known || what&isName != 0 && what&aWord == 0 || what&isName == 0 && surnameForm(word)
			f.unknown = f.unknown || what&isName == 0
			f.words++
			at, end = stop, stop
		default:
			return end, f
		}
	}
	return end, f
}

// surnameForm tells whether a word is made as surnames are: with -son, -ová, -ović and the like.
func surnameForm(word []byte) bool {
	if len(word) < 5 {
		return false
	}
	for _, s := range surnameEnds[word[len(word)-1]] {
		if len(word) > len(s)+2 && string(word[len(word)-len(s):]) == s {
			return true
		}
	}
	return false
}

// beginsCapital tells whether a capital letter, of any Latin alphabet, begins at i.
func beginsCapital(src []byte, i int) bool {
	if src[i] < 0xc3 || src[i] > 0xc8 {
		return isUpper(src[i])
	}
	r, _ := utf8.DecodeRune(src[i:])
	return unicode.IsUpper(r)
}

// wordEnd gives the end of the run of letters, with hyphens and apostrophes between them, that begins at i;
// no name is longer than 40 bytes.
func wordEnd(src []byte, i int) int {
	for most := min(len(src), i+40); i < most && (isLetter(src[i]) || src[i] >= 0x80 || (src[i] == '-' || src[i] == '\'') && i+1 < len(src) && (isUpper(src[i+1]) || src[i+1] >= 0xc3)); {
		i++
	}
	return i
}

// escaped tells whether the letter before i is the end of a JSON escape for a line break or tab.
func escaped(src []byte, i int) bool {
	return i > 1 && src[i-2] == '\\' && (src[i-1] == 'n' || src[i-1] == 'r' || src[i-1] == 't')
}
