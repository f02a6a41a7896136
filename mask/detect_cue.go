package mask

import "strings"

// What stands before a name.
const (
	noCue      = iota
	greeted    // a name that is known is one here
	introduced // whatever it is, it is a name
)

// titles stand before a surname.
var titles = set("Mr. Mr Mrs. Mrs Ms. Ms Miss Dr. Prof. Herr Frau Monsieur Madame Mme Señor Señora Signor Signora")

// introductions are followed by a name, whichever it is.
var introductions = newCues("my name is ", "his name is ", "her name is ", "maiden name is ", "my name's ", "named him ", "named her ", "ich heiße ", "je m'appelle ", "me llamo ", "mi chiamo ")

// greetings make a known name by itself a name.
var greetings = newCues("hi ", "hello ", "hey ", "dear ", "name: ", "name is ", "i'm ", "i am ", "this is ", "thanks ", "regards,\n", "regards, ", "sincerely,\n", "sincerely, ", "attn: ", "attn ",
	"contact: ", "patient: ", "customer: ", "signed by ", "hallo ", "hola ", "bonjour ", "ciao ", "liebe ", "lieber ")

// cues are phrases in lower case that end with a blank or line break, by the two characters before that.
type cues map[uint16][]string

func newCues(list ...string) cues {
	c := cues{}
	for _, s := range list {
		key := cueKey(s[len(s)-3], s[len(s)-2])
		c[key] = append(c[key], s)
		cueEnds[key/64] |= 1 << (key % 64)
	}
	return c
}

// cueEnds has a bit for each pair of characters that a cue ends with: most words before a capital end otherwise.
var cueEnds [1 << 14 / 64]uint64

func init() {
	for t := range titles {
		key := cueKey(t[len(t)-2], t[len(t)-1])
		cueEnds[key/64] |= 1 << (key % 64)
	}
}

// cueKey is the same for small letters and capitals.
func cueKey(a, b byte) uint16 { return uint16(lower(a)&127)<<7 | uint16(lower(b)&127) }

// cue tells what stands at the end of a text, before a capital.
func cue(text []byte) int {
	n := len(text)
	if n < 3 || text[n-1] != ' ' && text[n-1] != '\n' {
		return noCue
	}
	key := cueKey(text[n-3], text[n-2])
	switch {
	case cueEnds[key/64]>>(key%64)&1 == 0:
		return noCue
	case titled(text), introductions[key] != nil && endsInFold(text, introductions[key]):
		return introduced
	case endsInFold(text, greetings[key]):
		return greeted
	}
	return noCue
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

// endsInFold tells whether a text ends with one of the phrases, whatever its case.
func endsInFold(text []byte, list []string) bool {
	for _, s := range list {
		n := len(text) - len(s)
		if n >= 0 && begins(text[n:], s) && text[len(text)-1] == s[len(s)-1] && (n == 0 || !wordByte(text[n-1])) {
			return true
		}
	}
	return false
}

// notNames begin sentences after what reads as an introduction, or end the name before them.
var notNames = set(`Sir Madam Customer Customers All Team Not The A An And Or In On At Of For To From By With It Is Was He She They We You My Your His Her
	Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June July August September October November December
	Corp Please Thank Thanks Regards Yes No`)

// saints give their names to places.
var saints = []string{"san ", "santa ", "santo ", "saint ", "sankt ", "st. ", "st ", "são ", "sainte ", "port ", "fort ", "mount ", "lake "}

// placeWords after a name say that it is the name of a street, a firm, a work or a thing.
var placeWords = set(`Street Road Avenue Lane Drive Square Place Court Boulevard Highway Bridge Park Garden Gardens Bay Beach Island Islands Lake River Mountain Mount Valley Hill Hills
	Harbor Harbour Port Airport Station Terminal City Town Village County District Province State University College School Academy Institute Hospital Clinic Church Cathedral Abbey
	Museum Theatre Theater Stadium Arena Circuit Hotel Inn Resort Restaurant Cafe Bar Club House Hall Tower Center Centre Building
	Inc Ltd LLC Corp Corporation Company Group Holdings Bank Partners Associates Brothers Bros Sons GmbH Foundation Trust Fund Society Association Union Orchestra Band Choir
	Award Awards Prize Cup Trophy Medal Series Edition Collection Album Tour Show Records Studios Magazine Press Books Jeans Perfume Shirt Shoes Bag Watch`)

// connectives stand in small letters in titles too.
var connectives = set("and or of the for with from in on at to by an as vs per und et y e o i")

const longestConnective = 4

// particles stand before surnames.
var particles = set("van von de der den del della di da dos das du la le bin ibn al el ter ten zu")

const longestParticle = 3

func set(list string) map[string]bool {
	m := map[string]bool{}
	for s := range strings.FieldsSeq(list) {
		m[s] = true
	}
	return m
}
