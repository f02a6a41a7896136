// Package numbering knows which telephone numbers there can be: the numbering plans of all countries, after the
// metadata of libphonenumber (Apache-2.0), which gen writes into a finite automaton.
//
// Nothing is read when the program starts, and a look-up allocates nothing. The package says whether a number fits its
// plan, not whether somebody has it. Start at Valid for numbers with their calling code, at Find for those without.
package numbering

import (
	_ "embed"
	"slices"
	"strings"
)

//go:generate go run ./gen -dir .

//go:embed plans.bin
var plans string

// state is a place in plans: its number, and in the lowest bit whether a number may end there. Nothing comes after 0.
type state uint16

// after reads digits from a state on.
func (s state) after(digits []byte) state {
	for _, c := range digits {
		at := int(s>>1)*20 + int(c-'0')*2
		if s = state(plans[at]) | state(plans[at+1])<<8; s == 0 {
			break
		}
	}
	return s
}

func (s state) ends() bool { return s&1 == 1 }

// Valid tells whether digits, calling code first, are a number of the calling code's plan. That a country's prefix of 0
// may stand between calling code and number is allowed for.
func Valid(digits []byte) bool { return root.after(digits).ends() }

// Possible tells whether digits, calling code first, are as many as numbers of that calling code have.
func Possible(digits []byte) bool {
	calling := 0
	for i := 0; i < 3 && i < len(digits); i++ {
		calling = calling*10 + int(digits[i]-'0')
		if k, ok := slices.BinarySearchFunc(lengths, calling, func(l length, calling int) int { return int(l.calling) - calling }); ok {
			return lengths[k].national>>(len(digits)-i-1)&1 == 1
		}
	}
	return false
}

// length has a bit for each length of the national numbers of a calling code.
type length struct {
	calling  uint16
	national uint32
}

// Region is a country or territory with a numbering plan.
type Region struct {
	code  string
	trunk string // what is dialled before a number within the country
	bare  bool   // some numbers are written without it
	start state
}

// Find gives a region by its code of ISO 3166, in capitals.
func Find(code string) (Region, bool) {
	k, ok := slices.BinarySearchFunc(regions, code, func(r Region, code string) int { return strings.Compare(r.code, code) })
	if !ok {
		return Region{}, false
	}
	return regions[k], true
}

// Dialled tells whether digits are a number of the region after what is dialled before those.
func (r *Region) Dialled(digits []byte) bool {
	return r.trunk != "" && len(digits) > len(r.trunk) && string(digits[:len(r.trunk)]) == r.trunk && r.start.after(digits[len(r.trunk):]).ends()
}

// Bare tells whether digits are a number of the region that may be written with nothing before it.
func (r *Region) Bare(digits []byte) bool { return r.bare && r.start.after(digits).ends() }
