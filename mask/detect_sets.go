package mask

import "strings"

// connectives stand in small letters in titles too.
var connectives = set("and or of the for with from in on at to by an as vs per und et y e o i")

const longestConnective = 4

// ands are how lists end, each with its blank.
var ands = []string{"and ", "& ", "und ", "y ", "et ", "e ", "og ", "och ", "en ", "i ", "a ", "or "}

// deeds are verbs whose subject is a person, personal what people have.
var (
	deeds = set(`spent lives lived married died studied retired grew smiled laughed cried wrote thinks thought likes loves loved hates told asked replied answered moved drove flew walked slept woke ate drank
		sang sings plays played listed recalls recalled remembers remembered wants wanted needs feels felt knows knew believes believed graduated works worked visited met came went`)
	personal = set(`address phone number email birthday death killer killers murder murderer life career voice hair eyes face body family kid kids child children son daughter wife husband mother father mom mum dad
		brother sister parents friend friends girlfriend boyfriend house home car job boss doctor lawyer passport salary account name surname age illness funeral wedding grave ex`)
)

const longestDeed = 10

// particles stand before surnames, generations after them.
var (
	particles       = set("van von de den der del della di da dos das du la le bin ibn al el ter ten zu af av")
	greatParticles  = set("Van Von De Den Der Del Di Da Dos Das Du La Le El Al Bin Ibn Mc Mac Ter Ten St.")
	familyParticles = set("van von bin ibn ter ten")
	generations     = set("Jr Sr II III IV")
)

const longestParticle = 3

// surnameEnds are how surnames are made of other words, by their last byte.
var surnameEnds = func() (t [256][]string) {
	for s := range set(`son sen sson ssen ová ova eva ov ev off eff ski ska sky skaya cki cka ský ská wski wska vić vic vič ić wicz wich enko chenko yan ian shvili dze dóttir datter dottir
		escu ez opoulos poulos akis idis oğlu oglu zadeh czyk czak ák ek ič ički yuk chuk vich ovich inen nen quist kvist ström berg gren lund stein mann heimer bauer inga stra sma ema aitis ienė auskas`) {
		t[s[len(s)-1]] = append(t[s[len(s)-1]], s)
	}
	return t
}()

func set(list string) map[string]bool {
	m := map[string]bool{}
	for s := range strings.FieldsSeq(list) {
		m[s] = true
	}
	return m
}
