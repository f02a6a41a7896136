package twin

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
)

// Kind is a principal's way of seeing labelled columns, and with it how the second twin differs.
type Kind string

const (
	Redact  Kind = "redact"  // any value may differ, NULL or not included
	Token   Kind = "token"   // one value is another one everywhere: a consistent renaming
	Partial Kind = "partial" // values differ in what the masks' declared image leaves out
	// Generalise is like Partial, with every column in buckets that can be: numbers, dates, text, arrays of
	// them in any shape, and domains.
	Generalise Kind = "generalise"
	// Filter is redaction and a row filter: the twins also differ in the rows that it hides. See filter.go.
	Filter Kind = "filter"
)

// column is a labelled column of the evals' own schema with its values.
type column struct {
	table, name string
	// value gives the SQL literal of row k, for the first twin (second=false) or the second.
	value func(k int, second bool, kind Kind) string
}

// rng is a generator that depends on the column, the row and the twin only.
func rng(name string, k int, second bool) *rand.Rand {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%t", name, k, second))
	return rand.New(rand.NewPCG(binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:])))
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// letters gives n letters of the first or of the second half of the alphabet, so that no value of
// one twin is part of the other's and every comparison with a constant falls differently.
func letters(r *rand.Rand, n int, second bool) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(r.IntN(13))
		if second {
			b[i] += 13
		}
	}
	return string(b)
}

func digits(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = '0' + byte(r.IntN(10))
	}
	return string(b)
}

// free are values under redaction: nothing in common, lengths included.
func free(make func(r *rand.Rand, k int, second bool) string, name string) func(int, bool, Kind) string {
	return func(k int, second bool, kind Kind) string {
		// In the first twin other rows are NULL than in the second.
		if kind == Redact && ((!second && k%13 == 5) || (second && k%11 == 3)) {
			return "NULL"
		}
		if kind != Redact && k%13 == 5 {
			return "NULL"
		}
		return make(rng(name, k, second), k, second)
	}
}

// images are values that differ only outside the declared image when the kind is Partial.
func images(other func(int, bool, Kind) string, image func(k int, second bool) string) func(int, bool, Kind) string {
	return func(k int, second bool, kind Kind) string {
		if kind == Partial && k%13 != 5 {
			return image(k, second)
		}
		return other(k, second, kind)
	}
}

// email's partial image is its first character and its domain.
var email = images(
	free(func(r *rand.Rand, k int, second bool) string {
		n := 6
		if second {
			n = 9 + k%5
		}
		return quote(fmt.Sprintf("%s%d@%s.example", letters(r, n, second), k, letters(r, 4, second)))
	}, "email"),
	func(k int, second bool) string {
		r := rng("emailimage", k, second)
		return quote(fmt.Sprintf("%c%s%d@dom%d.example", 'a'+rune(k%26), letters(r, 5+3*b2i(second), second), k, k%4))
	})

// phone's partial image is its last two digits; its layout stays the same here.
var phone = images(
	free(func(r *rand.Rand, k int, second bool) string {
		return quote("+1 202 " + digits(r, 3) + " " + digits(r, 4))
	}, "phone"),
	func(k int, second bool) string {
		r := rng("phoneimage", k, second)
		return quote(fmt.Sprintf("+1 202 %s %s%02d", digits(r, 3), digits(r, 2), k%100))
	})

// card's partial image is its last four digits.
var card = images(
	free(func(r *rand.Rand, k int, second bool) string { return quote(digits(r, 16)) }, "card"),
	func(k int, second bool) string {
		return quote(digits(rng("cardimage", k, second), 12) + fmt.Sprintf("%04d", k))
	})

func word(name string, n int) func(int, bool, Kind) string {
	return free(func(r *rand.Rand, k int, second bool) string {
		return quote(letters(r, n+b2i(second)*(k%3), second) + fmt.Sprint(k))
	}, name)
}

// tags are more or fewer in the second twin, where masks hide how many there are.
func tags(k int, second bool, kind Kind) string {
	return free(func(r *rand.Rand, k int, second bool) string {
		tags := make([]string, 1+(k+b2i(second && kind != Token))%3)
		for i := range tags {
			tags[i] = letters(r, 7, second)
		}
		return quote("{" + strings.Join(tags, ",") + "}")
	}, "tags")(k, second, kind)
}

func number(name string, image func(k int, second bool) string, make func(r *rand.Rand, k int, second bool) string) func(int, bool, Kind) string {
	v := free(make, name)
	if image == nil {
		return v
	}
	return images(v, image)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// columns are the labelled columns of tables.sql, each with a label of its own ("pii." + name).
var columns = []column{
	{"dept", "boss_email", email},
	{"people", "email", email},
	{"people", "phone", phone},
	{"people", "code", free(func(r *rand.Rand, k int, second bool) string { return quote(letters(r, 4, second) + fmt.Sprint(k)) }, "code")},
	{"people", "nick", word("nick", 7)},
	// Token twins rename consistently, so small domains are permuted instead of drawn.
	{"people", "age", number("age",
		func(k int, second bool) string { return fmt.Sprint(20 + 10*(k%6) + (k*3+5*b2i(second))%10) },
		func(r *rand.Rand, k int, second bool) string {
			return fmt.Sprint(18 + (k*(1+6*b2i(second))+13*b2i(second))%60)
		})},
	{"people", "big", number("big", nil, func(r *rand.Rand, k int, second bool) string { return fmt.Sprint(r.Int64N(1e15) + 1e15) })},
	{"people", "salary", number("salary",
		func(k int, second bool) string {
			return fmt.Sprintf("%d.%02d", 1000*(k%9+1)+(k*17+501*b2i(second))%1000, k%100)
		},
		func(r *rand.Rand, k int, second bool) string {
			return fmt.Sprintf("%d.%s", 1000+r.IntN(8000), digits(r, 2))
		})},
	{"people", "score", number("score", nil, func(r *rand.Rand, k int, second bool) string { return fmt.Sprint(r.Float64()) })},
	{"people", "born", number("born",
		func(k int, second bool) string {
			return quote(fmt.Sprintf("%d-%02d-%02d", 1950+k%50, 1+(k+5*b2i(second))%12, 1+(k+9*b2i(second))%28))
		},
		func(r *rand.Rand, k int, second bool) string {
			return quote(fmt.Sprintf("%d-%02d-%02d", 1930+r.IntN(75), 1+r.IntN(12), 1+r.IntN(28)))
		})},
	{"people", "seen", number("seen",
		func(k int, second bool) string {
			return quote(fmt.Sprintf("2024-%02d-%02d 10:00:%02d+00", 1+k%12, 1+(k+11*b2i(second))%28, (k+7*b2i(second))%60))
		},
		func(r *rand.Rand, k int, second bool) string {
			return quote(fmt.Sprintf("20%02d-%02d-%02d 0%d:00:%02d+00", 10+r.IntN(14), 1+r.IntN(12), 1+r.IntN(28), r.IntN(10), r.IntN(60)))
		})},
	{"people", "dur", free(func(r *rand.Rand, k int, second bool) string {
		return quote(fmt.Sprintf("%d days %d minutes", r.IntN(90), r.IntN(600)))
	}, "dur")},
	{"people", "uid", free(func(r *rand.Rand, k int, second bool) string {
		return quote(fmt.Sprintf("%08x-0000-4000-8000-%012x", r.Uint32(), k+b2i(second)*4096))
	}, "uid")},
	{"people", "ok", free(func(r *rand.Rand, k int, second bool) string { return fmt.Sprint((k%3 == 0) != second) }, "ok")},
	{"people", "tags", tags},
	{"people", "nums", free(func(r *rand.Rand, k int, second bool) string {
		return quote(fmt.Sprintf("{%d,%d}", r.IntN(1e6), r.IntN(1e6)))
	}, "nums")},
	{"people", "doc", free(func(r *rand.Rand, k int, second bool) string {
		return quote(fmt.Sprintf(`{"pan": "%s", "deep": {"list": [%d, %d]}, "k%s": 1}`, digits(r, 16), r.IntN(1e6), r.IntN(1e6), letters(r, 3, second)))
	}, "doc")},
	{"people", "ssn", free(func(r *rand.Rand, k int, second bool) string { return quote(digits(r, 9)) }, "ssn")},
	{"people", "pin", free(func(r *rand.Rand, k int, second bool) string { return fmt.Sprint(100000 + r.IntN(900000)) }, "pin")},
	{"people", "home", free(func(r *rand.Rand, k int, second bool) string {
		return fmt.Sprintf("ROW(%s, %s)::addr", quote(letters(r, 9, second)+" street"), quote(digits(r, 7)))
	}, "home")},
	{"people", "feel", free(func(r *rand.Rand, k int, second bool) string {
		return quote([]string{"sad", "calm", "happy"}[(k+b2i(second))%3])
	}, "feel")},
	{"people", "span", free(func(r *rand.Rand, k int, second bool) string {
		lo := r.IntN(1e6)
		return quote(fmt.Sprintf("[%d,%d)", lo, lo+1+r.IntN(1000)))
	}, "span")},
	{"people", "ip", free(func(r *rand.Rand, k int, second bool) string {
		return quote(fmt.Sprintf("10.%d.%d.%d", r.IntN(256), r.IntN(256), r.IntN(256)))
	}, "ip")},
	{"people", "raw", free(func(r *rand.Rand, k int, second bool) string {
		return quote(`\x` + hex.EncodeToString([]byte(letters(r, 10, second))))
	}, "raw")},
	{"people", "attrs", free(func(r *rand.Rand, k int, second bool) string {
		return quote(fmt.Sprintf(`secret=>%s`, letters(r, 8, second)))
	}, "attrs")},
	{"payments", "card", card},
	{"watched", "email", email},
	{"ruled", "email", email},
	{"events", "actor", word("actor", 8)},
	{"bykey", "secret", word("secret", 8)},
	{"base_log", "who", word("who", 7)},
	{"special_log", "who", word("who2", 7)},
	{`Odd "Name`, "E-Mail", word("odd", 8)},
	{"hr.people", "email", word("hremail", 8)},
	{"hr.people", "pay", free(func(r *rand.Rand, k int, second bool) string { return fmt.Sprint(r.IntN(1e6) + 1e6) }, "pay")},
}
