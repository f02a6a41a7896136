package mask

// longestPlain is of how many bytes a text in small letters, or in capitals, is looked at for names.
const longestPlain = 512

// oneCase tells whether a short text has all its letters in small ones, or all in capitals, and more than one word: its
// letters say nothing of where a name is.
func oneCase(src []byte) bool {
	if len(src) < 5 || len(src) > longestPlain {
		return false
	}
	small, great, blank := false, false, false
	for i, c := range src {
		switch {
		case c|0x20-'a' <= 'z'-'a':
			if c >= 'a' {
				small = true
			} else {
				great = true
			}
			if small && great {
				return false
			}
		case c == ' ':
			blank = blank || i > 0
		}
	}
	return blank && (small || great)
}

// withCapitals writes a text of one case as people would, as far as names go: into dst, byte for byte as long.
func withCapitals(dst, src []byte) []byte {
	dst = dst[:len(src)]
	for i, c := range src {
		dst[i] = lower(c)
	}
	number, words := 0, 9 // where the last number ends, and how many words there are since
	french := false       // the word before it begins the name of a street
	raise := false        // the word before it is part of a name
	for i := 0; i < len(dst); {
		if !isLetter(dst[i]) {
			if isDigit(dst[i]) {
				number, words = i, 0
			}
			if dst[i] != ' ' && dst[i] != '-' {
				raise = false
			}
			if dst[i] < 0x80 {
				i++
				continue
			}
		}
		end := i
		for end < len(dst) && (isLetter(dst[end]) || dst[end] >= 0x80) {
			end++
		}
		if end == i || i > 0 && (isDigit(dst[i-1]) || dst[i-1] == '_' || dst[i-1] == '@' || dst[i-1] == '.') || end < len(dst) && (dst[end] == '@' || dst[end] == '_' || isDigit(dst[end]) || dst[end] == '.' && end+1 < len(dst) && isAlnum(dst[end+1])) || dst[i] >= 0x80 {
			i = end
			raise = false
			continue
		}
		word := dst[i:end]
		words++
		if n := end - i; n == 1 {
			if raise && end < len(dst) && (dst[end] == '.' || dst[end] == ' ') { // an initial
				word[0] = upper(word[0])
			}
		} else if n <= longestParticle && particles[string(word)] {
		} else {
			word[0] = upper(word[0])
			what := names().of(word)
			sure := what&isName != 0 && what&aWord == 0
			switch {
			case sure && (raise || what&aGiven != 0 && what&aPlace == 0 || cue(dst[:i]) >= greeted):
				raise = true
			case raise && (what&isName != 0 || !ordinary(word)):
			case what&isName != 0 && cue(dst[:i]) == introduced, !ordinary(word) && what&isName == 0 && cue(dst[:i]) >= labelled:
				raise = true
			default:
				switch {
				case streetTypes[string(word)] && words < 4: // 12 mill road
					for at := number; at < i; at++ {
						if dst[at] == ' ' {
							dst[at+1] = upper(dst[at+1])
						}
					}
				case words == 1 && frenchStreets[string(word)]:
					word[0] = lower(word[0])
					french = true
				case french:
					french = false
				case unitWords[string(word)] || countries[string(word)]:
				case n == 2 && military[upperPair(word)] || n == 3 && (string(word) == "Apo" || string(word) == "Fpo" || string(word) == "Dpo" || string(word) == "Psc"):
					for at := i; at < end; at++ {
						dst[at] = upper(dst[at])
					}
				default:
					word[0] = lower(word[0])
				}
				raise = false
			}
		}
		i = end
	}
	return dst
}

func upperPair(word []byte) string { return string([]byte{upper(word[0]), upper(word[1])}) }
