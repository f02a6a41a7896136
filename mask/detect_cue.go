package mask

import (
	"bytes"
	"slices"
	"strings"
)

// What stands before a name.
const (
	noCue      = iota
	thing      // it is one, or a place: "the", "San"
	spoken     // what people do, or are to each other: a name of two words is one here
	greeted    // a given name that is known is one here
	labelled   // a field for names: so is a surname that is known, and two words that are in no list
	introduced // whatever it is, it is a name
)

// titles stand before a surname.
var titles = set("Mr. Mr Mrs. Mrs Ms. Ms Miss Mx. Dr. Prof. Herr Frau Monsieur Madame Mme Mlle Señor Señora Sr. Sra. Signor Signora Sig. Dhr. Mevr. Sir Lady")

// introductions are followed by a name, whichever it is.
var introductions = []string{"my name is ", "his name is ", "her name is ", "maiden name is ", "my name's ", "named him ", "named her ", "ich heiße ", "je m'appelle ", "me llamo ", "mi chiamo ",
	"mi nombre es ", "meu nome é ", "il mio nome è ", "mijn naam is ", "ik heet ", "jag heter ", "jeg hedder ", "jeg heter ", "nimeni on ", "jmenuji se ", "nazywam się ", "mein name ist ", "mon nom est ", "call me ", "calls me ", "call him ", "call her ", "calls him ", "calls her "}

// greetings make a known name by itself a name.
var greetings = []string{"hi ", "hello ", "hey ", "dear ", "name is ", "i'm ", "i am ", "this is ", "thanks ", "thanks,\n", "thanks\n", "thanks, ", "regards,\n", "regards\n", "regards, ", "sincerely,\n",
	"sincerely\n", "sincerely, ", "yours,\n", "truly,\n", "faithfully,\n", "cheers,\n", "cheers, ", "best,\n", "love,\n", "attn ", "signed by ", "hallo ", "hola ", "bonjour ", "ciao ", "liebe ",
	"lieber ", "kære ", "kjære ", "beste ", "geachte ", "querido ", "querida ", "estimado ", "estimada ", "caro ", "cara ", "cher ", "chère ", "hej ", "grüßen\n", "grüße\n", "saludos,\n",
	"cordialement,\n", "groeten,\n", "groet,\n", "hilsen\n", "hälsningar\n", "saluti,\n"}

// speech is what is said of people alone: a verb of theirs, or what somebody is to somebody.
var speech = []string{"says ", "said ", "asked ", "told ", "married ", "was called ", "is called ", "am called ", "née ", "by ", "between him and ", "between her and ", "him and ", "her and ", "me and ",
	"father ", "mother ", "brother ", "sister ", "son ", "daughter ", "wife ", "husband ", "uncle ", "aunt ", "cousin ", "nephew ", "niece ", "grandfather ", "grandmother ", "fiancé ", "girlfriend ", "boyfriend ",
	"friend ", "colleague ", "neighbour ", "neighbor ", "guardian ", "patient ", "doctor ", "nurse ", "professor ", "president ", "senator ", "minister ", "judge ", "captain ", "sergeant ", "officer ",
	"detective ", "lawyer ", "attorney ", "teacher ", "coach ", "actor ", "actress ", "singer ", "author ", "director ", "manager ", "secretary ", "ceo ", "cfo ", "cto ", "contact ", "call ", "caller ", "employee ",
	"tenant ", "resident ", "applicant ", "candidate ", "defendant ", "plaintiff ", "witness ", "suspect ", "victim ", "sagt ", "sagte ", "dijo ", "dit ", "disse ", "zei ", "sade "}

// articles stand before things. "The Emma Original" is nobody.
var articles = []string{"san ", "santa ", "santo ", "saint ", "sankt ", "st. ", "st ", "são ", "sainte ", "port ", "fort ", "mount ", "lake ", "the ", "a ", "an ", "this ", "that ", "every ", "each "}

// labels are what fields of forms for names are called.
var labels = set(`name names nombre nombres nom noms nome naam navn namn nimi imię imie jméno név ad nachname vorname apellido apellidos prénom cognome sobrenome apelido achternaam voornaam efternavn
	fornavn förnamn efternamn etunimi sukunimi nazwisko příjmení surname forename firstname lastname fullname user customer client cliente kunde klant patient paciente contact contacto
	contatto kontakt employee employer author from to cc attn attention signed signature recipient sender cardholder holder beneficiary payee guest driver owner tenant student teacher manager applicant candidate
	spouse guardian father mother doctor agent caller buyer seller shipper consignee addressee member subscriber passenger reporter assignee billing shipping resident insured lessee lessor borrower`)

const longestLabel = 12

// cues are phrases in lower case that end with a blank or line break, by the two characters before that, and what they
// make of a capital after them. Of a phrase of one letter the first character is a blank.
var cues = func() map[uint16][]phrase {
	m := map[uint16][]phrase{}
	for hint, list := range map[int][]string{introduced: introductions, greeted: greetings, spoken: speech, thing: articles} {
		for _, s := range list {
			key := cueKey(' ', s[len(s)-2])
			if len(s) > 2 {
				key = cueKey(s[len(s)-3], s[len(s)-2])
			}
			m[key] = append(m[key], phrase{s, hint})
		}
	}
	for _, list := range m {
		slices.SortFunc(list, func(a, b phrase) int { return b.hint - a.hint })
	}
	return m
}()

type phrase struct {
	text string
	hint int
}

// cueEnds has a bit for each pair of characters that a cue or title ends with: most words before a capital end otherwise.
var cueEnds = func() (bits [1 << 14 / 64]uint64) {
	for key := range cues {
		bits[key/64] |= 1 << (key % 64)
	}
	for t := range titles {
		key := cueKey(t[len(t)-2], t[len(t)-1])
		bits[key/64] |= 1 << (key % 64)
	}
	return bits
}()

// cueKey is the same for small letters and capitals.
func cueKey(a, b byte) uint16 { return uint16(lower(a)&127)<<7 | uint16(lower(b)&127) }

// cue tells what stands at the end of a text, before a capital.
func cue(text []byte) int {
	n := len(text)
	if n < 2 || text[n-1] != ' ' && text[n-1] != '\n' && text[n-1] != '\t' {
		return noCue
	}
	if isLabel(text) {
		return labelled
	}
	key := cueKey(' ', text[n-2])
	if n > 2 {
		key = cueKey(text[n-3], text[n-2])
	}
	if cueEnds[key/64]>>(key%64)&1 == 0 {
		return noCue
	}
	if titled(text) {
		return introduced
	}
	for _, p := range cues[key] {
		if endsInFold(text, p.text) {
			return p.hint
		}
	}
	return noCue
}

// isLabel tells whether a text ends with the label of a field for names, or with a question for one: "Name:   ", "What is
// your last name? ".
func isLabel(text []byte) bool {
	n := len(text)
	for n > 0 && len(text)-n < 12 && (text[n-1] == ' ' || text[n-1] == '\t' || text[n-1] == '\n') {
		n--
	}
	if n == 0 || text[n-1] != ':' && text[n-1] != '?' {
		return false
	}
	end := n - 1
	for end > 0 && (text[end-1] == ' ' || text[end-1] == '*') {
		end--
	}
	start := end
	for start > 0 && end-start <= longestLabel && (isLetter(text[start-1]) || text[start-1] >= 0x80) {
		start--
	}
	if text[n-1] == '?' {
		return bytes.EqualFold(text[start:end], []byte("name")) || bytes.EqualFold(text[start:end], []byte("called"))
	}
	var small [longestLabel + 1]byte
	if end-start > longestLabel {
		return false
	}
	for k, c := range text[start:end] {
		small[k] = lower(c)
	}
	return labels[string(small[:end-start])]
}

// titled tells whether a text ends with a title and a blank.
func titled(text []byte) bool {
	n := len(text) - 1
	start := n
	for start > 0 && n-start < 9 && strings.IndexByte(" \n(\"'", text[start-1]) < 0 {
		start--
	}
	return text[n] == ' ' && isUpper(text[start]) && titles[string(text[start:n])]
}

// endsInFold tells whether a text ends with a phrase, whatever its case.
func endsInFold(text []byte, phrase string) bool {
	n := len(text) - len(phrase)
	return n >= 0 && begins(text[n:], phrase) && text[len(text)-1] == phrase[len(phrase)-1] && (n == 0 || !wordByte(text[n-1]))
}
