package classify

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// claim is what a name or a comment says a column holds.
type claim struct {
	label string
	word  string // of our own list, never the text that it was found in
	clear bool
}

var (
	clearWords = index(clearNames)
	vagueWords = index(vagueNames)
	turnWords  = set(turns)
	thingWords = set(things)
	peopleWord = strings.Fields(people)
)

func index(lists map[string]string) map[string]string {
	out := map[string]string{}
	for label, words := range lists {
		for _, w := range strings.Fields(words) {
			out[w] = label
		}
	}
	return out
}

func set(words string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(words) {
		out[w] = true
	}
	return out
}

// folds takes diacritics off. German umlauts are written in two ways, so names are looked up in both.
var (
	fold = strings.NewReplacer("à", "a", "á", "a", "â", "a", "ã", "a", "ä", "a", "å", "a", "ā", "a", "ą", "a", "ç", "c", "ć", "c", "č", "c", "ď", "d", "è", "e", "é", "e",
		"ê", "e", "ë", "e", "ē", "e", "ę", "e", "ě", "e", "ğ", "g", "ì", "i", "í", "i", "î", "i", "ï", "i", "ī", "i", "ı", "i", "ł", "l", "ñ", "n", "ń", "n", "ň", "n", "ò", "o",
		"ó", "o", "ô", "o", "õ", "o", "ö", "o", "ø", "o", "ō", "o", "œ", "oe", "æ", "ae", "ř", "r", "ś", "s", "š", "s", "ş", "s", "ß", "ss", "ť", "t", "ù", "u", "ú", "u",
		"û", "u", "ü", "u", "ū", "u", "ů", "u", "ý", "y", "ź", "z", "ż", "z", "ž", "z", "\u0307", "")
	umlauts = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss")
)

// tokens cuts an identifier into words: at what is no letter or digit, between camelCase humps and around digits.
func tokens(name string) []string {
	var out []string
	var word []rune
	end := func() {
		if len(word) > 0 {
			out = append(out, strings.ToLower(string(word)))
			word = nil
		}
	}
	runes := []rune(name)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end()
			continue
		case i > 0 && unicode.IsUpper(r) && unicode.IsLower(runes[i-1]),
			i > 0 && i+1 < len(runes) && unicode.IsUpper(r) && unicode.IsUpper(runes[i-1]) && unicode.IsLower(runes[i+1]):
			end()
		}
		word = append(word, r)
	}
	end()
	return out
}

// readName finds what a column's name says. table is for the ambiguous: the name of a customer is one, that of a product is
// not.
func readName(table, column string) (claim, bool) {
	best, rest := claim{}, []string(nil)
	for _, name := range []string{fold.Replace(column), umlauts.Replace(strings.ToLower(column))} {
		words := tokens(name)
		if name != fold.Replace(column) {
			for i := range words {
				words[i] = fold.Replace(words[i])
			}
		}
		if c, others := longest(words); better(c, best) {
			best, rest = c, others
		}
	}
	if best.label == "" {
		return best, false
	}
	for _, w := range rest {
		if turnWords[w] && !(best.label == Birth && (w == "date" || w == "on")) {
			return claim{}, false
		}
		if best.label == Name && thingWords[w] {
			return claim{}, false
		}
	}
	if best.label == Name && !best.clear && ofThings(table) && !ofPeople(table) {
		return claim{}, false
	}
	return best, true
}

func better(a, b claim) bool {
	if a.clear != b.clear {
		return a.clear
	}
	return len(a.word) > len(b.word)
}

// longest finds the longest run of words that is in the lists, and gives the words around it.
func longest(words []string) (best claim, rest []string) {
	for i := range words {
		for k := 1; k <= 4 && i+k <= len(words); k++ {
			c := lookup(strings.Join(words[i:i+k], ""))
			if better(c, best) {
				best = c
				rest = append(append([]string{}, words[:i]...), words[i+k:]...)
			}
		}
	}
	if best.clear {
		return best, rest
	}
	for i, w := range words {
		if c := compound(w); c.label != "" {
			return c, append(append([]string{}, words[:i]...), words[i+1:]...)
		}
	}
	return best, rest
}

func lookup(word string) claim {
	for _, w := range []string{word, strings.TrimRight(word, "0123456789"), strings.TrimSuffix(word, "s"), strings.TrimSuffix(word, "es")} {
		if l := clearWords[w]; l != "" {
			return claim{l, w, true}
		}
	}
	word = strings.TrimRight(word, "0123456789")
	if l := vagueWords[word]; l != "" {
		return claim{l, word, false}
	}
	return claim{}
}

// compound finds a clear word of some length at the end or beginning of a longer one without separators: customeremail,
// kundentelefon, geburtsdatumkind.
func compound(word string) claim {
	const least = 5
	for cut := 1; cut < len(word); cut++ {
		if !utf8.RuneStart(word[cut]) {
			continue
		}
		if tail := word[cut:]; len(tail) >= least && clearWords[tail] != "" {
			return claim{clearWords[tail], tail, true}
		}
	}
	for cut := len(word) - 1; cut > least; cut-- {
		if head := word[:cut]; utf8.RuneStart(word[cut]) && clearWords[head] != "" && !turnWords[word[cut:]] {
			return claim{clearWords[head], head, false}
		}
	}
	return claim{}
}

func ofPeople(table string) bool {
	for _, w := range tokens(fold.Replace(table)) {
		for _, p := range peopleWord {
			if w == p || len(p) >= 4 && strings.HasPrefix(w, p) {
				return true
			}
		}
	}
	return false
}

func ofThings(table string) bool {
	for _, w := range tokens(fold.Replace(table)) {
		if thingWords[w] || thingWords[strings.TrimSuffix(w, "s")] || thingWords[strings.TrimSuffix(w, "ies")+"y"] {
			return true
		}
	}
	return false
}

// readComment finds a clear word in a comment. It reads the beginning: what a column holds is said first.
func readComment(comment string) (claim, bool) {
	if len(comment) > 400 {
		comment = comment[:400]
	}
	words := tokens(fold.Replace(comment))
	best := claim{}
	for i := range words {
		for k := 1; k <= 3 && i+k <= len(words); k++ {
			if c := lookup(strings.Join(words[i:i+k], "")); c.clear && better(c, best) {
				best = c
			}
		}
	}
	return best, best.label != ""
}
