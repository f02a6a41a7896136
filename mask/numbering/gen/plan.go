package main

import (
	"encoding/binary"
	"fmt"
	"regexp/syntax"
	"slices"

	"github.com/nyaruka/phonenumbers"
)

// plan is what a calling code's numbers look like: the rules of its regions, in the order in which they are asked.
type plan struct {
	regions []region
}

// region has a pattern that all numbers of it fulfil, and those of the kinds of numbers, one of which they fulfil too.
type region struct {
	general pattern
	kinds   []pattern
	leading *pattern // what its numbers begin with, where that tells it from the other regions
}

// pattern is a regular expression and the lengths that it holds for.
type pattern struct {
	prog    *syntax.Prog
	lengths []int32 // none: any
}

func newPlan(list []*phonenumbers.PhoneMetadata) (*plan, error) {
	p := &plan{}
	// The library asks the main region of a calling code first.
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b *phonenumbers.PhoneMetadata) int {
		switch {
		case a.GetMainCountryForCode() == b.GetMainCountryForCode():
			return 0
		case a.GetMainCountryForCode():
			return -1
		}
		return 1
	})
	for _, m := range list {
		general, err := newPattern(m.GetGeneralDesc())
		if err != nil {
			return nil, err
		}
		r := region{general: general}
		kinds := []*phonenumbers.PhoneNumberDesc{m.GetFixedLine(), m.GetMobile(), m.GetPremiumRate(), m.GetTollFree(), m.GetSharedCost(), m.GetVoip(),
			m.GetPersonalNumber(), m.GetPager(), m.GetUan(), m.GetVoicemail()}
		for _, d := range kinds {
			if d.GetNationalNumberPattern() == "" {
				continue
			}
			k, err := newPattern(d)
			if err != nil {
				return nil, err
			}
			r.kinds = append(r.kinds, k)
		}
		if l := m.GetLeadingDigits(); l != "" && len(list) > 1 {
			prog, err := compile(l)
			if err != nil {
				return nil, err
			}
			r.leading = &pattern{prog: prog}
		}
		p.regions = append(p.regions, r)
	}
	return p, nil
}

func newPattern(d *phonenumbers.PhoneNumberDesc) (pattern, error) {
	prog, err := compile(d.GetNationalNumberPattern())
	return pattern{prog, d.GetPossibleLength()}, err
}

func compile(expr string) (*syntax.Prog, error) {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", expr, err)
	}
	return syntax.Compile(re.Simplify())
}

// position is how far a number has been read: for each pattern of each region, in order, the instructions that it is at.
type position struct {
	length int
	at     [][]uint32
	led    []bool // the digits so far have a region's leading ones
}

// longest is more than the longest number.
const longest = 20

func (p *plan) start() position {
	var s position
	for _, r := range p.regions {
		for _, x := range r.patterns() {
			at := x.closure(nil, uint32(x.prog.Start))
			s.at = append(s.at, at)
		}
		s.led = append(s.led, false)
	}
	return s
}

func (r region) patterns() []pattern {
	all := append([]pattern{r.general}, r.kinds...)
	if r.leading != nil {
		all = append(all, *r.leading)
	}
	return all
}

// closure adds an instruction and those that are reached from it without reading.
func (x pattern) closure(set []uint32, pc uint32) []uint32 {
	if slices.Contains(set, pc) {
		return set
	}
	switch i := &x.prog.Inst[pc]; i.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		return x.closure(x.closure(set, i.Out), i.Arg)
	case syntax.InstCapture, syntax.InstNop:
		return x.closure(set, i.Out)
	case syntax.InstFail:
		return set
	case syntax.InstEmptyWidth:
		panic("a pattern looks around itself")
	}
	return append(set, pc)
}

func (p *plan) next(s position, digit byte) position {
	out := position{length: s.length + 1, led: slices.Clone(s.led)}
	n := 0
	for k, r := range p.regions {
		for _, x := range r.patterns() {
			var set []uint32
			for _, pc := range s.at[n] {
				if i := &x.prog.Inst[pc]; i.Op != syntax.InstMatch && i.MatchRune(rune(digit)) {
					set = x.closure(set, i.Out)
				}
			}
			slices.Sort(set)
			out.at = append(out.at, set)
			n++
		}
		if r.leading != nil && r.leading.ended(out.at[n-1]) {
			out.led[k] = true
		}
	}
	return out
}

func (x pattern) ended(at []uint32) bool {
	return slices.ContainsFunc(at, func(pc uint32) bool { return x.prog.Inst[pc].Op == syntax.InstMatch })
}

func (x pattern) holds(s position, at []uint32) bool {
	return (len(x.lengths) == 0 || slices.Contains(x.lengths, int32(s.length))) && x.ended(at)
}

// valid decides like the library: the first region that claims a number judges it.
func (p *plan) valid(s position) bool {
	n := 0
	for k, r := range p.regions {
		first := n
		n += len(r.patterns())
		ok := false
		for i, x := range r.kinds {
			ok = ok || x.holds(s, s.at[first+1+i])
		}
		ok = ok && r.general.holds(s, s.at[first])
		if ok && (r.leading == nil || s.led[k]) {
			return true
		}
		if r.leading != nil && s.led[k] {
			return false
		}
	}
	return false
}

// dead tells whether no number begins so.
func (s position) dead() bool {
	if s.length >= longest {
		return true
	}
	for _, at := range s.at {
		if len(at) > 0 {
			return false
		}
	}
	return true
}

// key tells positions apart.
func (s position) key() string {
	b := []byte{byte(s.length)}
	for _, at := range s.at {
		for _, pc := range at {
			b = binary.LittleEndian.AppendUint16(b, uint16(pc+1))
		}
		b = append(b, 0, 0)
	}
	for _, led := range s.led {
		b = append(b, map[bool]byte{true: 1}[led])
	}
	return string(b)
}
