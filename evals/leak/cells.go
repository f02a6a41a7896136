package leak

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"net/netip"
	"strings"
	"time"
)

// Seed makes the canaries of a run.
const Seed = 20261125

// rowsEach is enough for groups and orders, and little enough for thousands of answers to be searched.
const rowsEach = 8

// cell is one labelled value.
type cell struct {
	where string // table.column/row
	text  string // as PostgreSQL prints it
	// unique are the parts of the text that are nowhere else; forms are its binary forms.
	unique []string
	forms  [][]byte
	sql    string // literal
}

// stream gives the bytes that a cell is made from: other ones on each side.
type stream struct {
	key   []byte
	block []byte
	n     uint64
}

func newStream(second bool, where string) *stream {
	return &stream{key: fmt.Appendf(nil, "%d %t %s", Seed, second, where)}
}

func (s *stream) next() byte {
	if len(s.block) == 0 {
		m := hmac.New(sha256.New, s.key)
		m.Write(binary.BigEndian.AppendUint64(nil, s.n))
		s.n++
		s.block = m.Sum(nil)
	}
	b := s.block[0]
	s.block = s.block[1:]
	return b
}

func (s *stream) pick(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[(int(s.next())<<8|int(s.next()))%len(alphabet)]
	}
	return string(b)
}

// letters have no vowels: no canary is a word.
func (s *stream) letters(n int) string { return s.pick("bcdfghjklmnpqrstvwxz", n) }

// digits do not begin with a zero, which numbers would lose.
func (s *stream) digits(n int) string { return s.pick("123456789", 1) + s.pick("0123456789", n-1) }

func (s *stream) below(n int) int { return (int(s.next())<<16 | int(s.next())<<8 | int(s.next())) % n }

// maker makes the cell of a row of a kind of column.
type maker func(s *stream, row int) cell

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func plain(text string, unique ...string) cell {
	if unique == nil {
		unique = []string{text}
	}
	return cell{text: text, unique: unique, sql: quote(text)}
}

func word(s *stream, _ int) cell { return plain(s.letters(16)) }

// name, too, has parts that stand alone in slices.
func name(s *stream, _ int) cell {
	a, b := s.letters(9), s.letters(10)
	return plain(a+" "+b, a, b, a+b)
}

func email(s *stream, _ int) cell {
	user, host := s.letters(12), s.letters(9)
	return plain(user+"@"+host+".example", user, host)
}

func phone(s *stream, _ int) cell { d := s.digits(13); return plain("+"+d, d) }

func iban(s *stream, _ int) cell { d := s.digits(20); return plain("DE"+d, d) }

func ssn(s *stream, _ int) cell {
	d := s.digits(9)
	return plain(d[:3]+"-"+d[3:5]+"-"+d[5:], d)
}

// card passes Luhn's check, as a real number would.
func card(s *stream, _ int) cell {
	d := "4" + s.digits(14)
	sum := 0
	for i := range d {
		v := int(d[len(d)-1-i] - '0')
		if i%2 == 0 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	d += fmt.Sprint((10 - sum%10) % 10)
	return plain(d, d[1:])
}

func number(s *stream, _ int) cell {
	d := s.digits(17)
	n, _ := new(big.Int).SetString(d, 10)
	c := plain(d)
	c.forms = [][]byte{binary.BigEndian.AppendUint64(nil, n.Uint64())}
	c.sql = d
	return c
}

// money is a numeric with two decimals; its binary form is in groups of four decimal digits.
func money(s *stream, _ int) cell {
	whole, cents := s.digits(12), s.pick("123456789", 2)
	c := plain(whole+"."+cents, whole+cents)
	var form []byte
	for _, group := range []string{whole[:4], whole[4:8], whole[8:], cents + "00"} {
		var v uint16
		fmt.Sscanf(group, "%d", &v)
		form = binary.BigEndian.AppendUint16(form, v)
	}
	c.forms, c.sql = [][]byte{form}, c.text
	return c
}

var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// date is found whole only: a year or a month is no secret to search for. The row is part of it, so
// that no two cells of a column agree.
func date(s *stream, row int) cell {
	d := time.Date(1920+row*9+s.below(9), time.Month(1+s.below(12)), 2+s.below(26), 0, 0, 0, 0, time.UTC)
	text := d.Format("2006-01-02")
	c := cell{text: text, sql: quote(text), unique: []string{text}}
	days := int32(d.Sub(epoch).Hours() / 24)
	// Four bytes are too few to search for; with the length in front of them, as in rows and composites, not.
	c.forms = [][]byte{binary.BigEndian.AppendUint32([]byte{0, 0, 0, 4}, uint32(days))}
	return c
}

func moment(s *stream, row int) cell {
	t := time.Date(1975+row, time.Month(1+s.below(12)), 1+s.below(28), s.below(24), s.below(60), s.below(60), (100000+s.below(899999))*1000, time.UTC)
	text := t.Format("2006-01-02 15:04:05.999999-07")
	c := plain(text, t.Format("150405.000000"))
	c.forms = [][]byte{binary.BigEndian.AppendUint64(nil, uint64(t.Sub(epoch).Microseconds()))}
	return c
}

func uuid(s *stream, _ int) cell {
	raw := make([]byte, 16)
	for i := range raw {
		raw[i] = s.next()
	}
	h := hex.EncodeToString(raw)
	text := h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
	c := plain(text, h)
	c.forms = [][]byte{raw}
	return c
}

func address(s *stream, _ int) cell {
	raw := [16]byte{0x20, 0x01, 0x0d, 0xb8}
	for i := 4; i < 16; i++ { // no group begins with a zero, none is left out
		raw[i] = s.next()
		if i%2 == 0 {
			raw[i] |= 0x10
		}
	}
	text := netip.AddrFrom16(raw).String()
	c := plain(text, strings.ReplaceAll(strings.TrimPrefix(text, "2001:db8:"), ":", ""))
	c.forms = [][]byte{raw[4:]}
	return c
}

// device is a bytea of letters: printed in hex, and its own binary form.
func device(s *stream, _ int) cell {
	w := s.letters(16)
	return cell{text: w, unique: []string{w}, sql: `'\x` + hex.EncodeToString([]byte(w)) + `'`}
}

func history(s *stream, _ int) cell {
	a, b, d := s.letters(14), s.letters(14), s.digits(15)
	c := plain(fmt.Sprintf(`{"diagnosis": "%s", "deep": {"list": ["%s", %s]}}`, a, b, d), a, b, d)
	return c
}

func allergies(s *stream, _ int) cell {
	a, b := s.letters(12), s.letters(12)
	return plain("{"+a+","+b+"}", a, b)
}

func contact(s *stream, _ int) cell {
	a, d := s.letters(12), s.digits(12)
	c := plain(a+" "+d, a, d)
	c.sql = "ROW(" + quote(a+" street") + ", " + quote("+"+d) + ")::clinic.contact"
	return c
}
