package numbering

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

// judged is the library's opinion of digits with a calling code. whole tells that it left out none of them.
func judged(digits string) (valid, possible, whole bool) {
	n, err := phonenumbers.Parse("+"+digits, "ZZ")
	if err != nil {
		return false, false, true
	}
	return phonenumbers.IsValidNumber(n), phonenumbers.IsPossibleNumberWithReason(n) == phonenumbers.IS_POSSIBLE, phonenumbers.Format(n, phonenumbers.E164) == "+"+digits
}

// TestPlansAreTheLibrarys asks both about numbers that are nearly right: examples of each region and kind with some digits
// changed, taken off and added.
func TestPlansAreTheLibrarys(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		t.Fatal(err)
	}
	n, valid := 0, 0
	check := func(digits string) {
		n++
		want, possible, whole := judged(digits)
		if !whole { // without a prefix that the country has: ours takes a 0 alone, and says so of whole numbers
			if Valid([]byte(digits)) && !want {
				t.Errorf("+%s is valid, with a part of it left out it is not", digits)
			}
			return
		}
		if want {
			valid++
		}
		if got := Valid([]byte(digits)); got != want {
			t.Errorf("+%s is valid: %v, want %v", digits, got, want)
		}
		if got := Possible([]byte(digits)); got != possible {
			t.Errorf("+%s is possible: %v, want %v", digits, got, possible)
		}
	}
	for _, m := range all.GetMetadata() {
		for _, d := range []*phonenumbers.PhoneNumberDesc{m.GetFixedLine(), m.GetMobile(), m.GetTollFree(), m.GetVoip(), m.GetUan(), m.GetPremiumRate()} {
			example := d.GetExampleNumber()
			if example == "" {
				continue
			}
			code := strconv.Itoa(int(m.GetCountryCode()))
			check(code + example)
			for range 25 {
				b := []byte(example)
				switch r.IntN(6) {
				case 0:
					b = b[:len(b)-1]
				case 1:
					b = append(b, '0'+byte(r.IntN(10)))
				}
				for range 1 + r.IntN(3) {
					b[r.IntN(min(len(b), 5))] = '0' + byte(r.IntN(10))
				}
				check(code + string(b))
			}
		}
	}
	if valid*4 < n || valid*10 > n*9 {
		t.Errorf("%d of %d numbers are valid: too few or too many to tell", valid, n)
	}
}

func TestRegions(t *testing.T) {
	if !slices.IsSortedFunc(regions, func(a, b Region) int { return strings.Compare(a.code, b.code) }) || len(regions) != len(phonenumbers.GetSupportedRegions()) {
		t.Fatalf("%d regions, the library has %d, or they are not sorted", len(regions), len(phonenumbers.GetSupportedRegions()))
	}
	for _, tc := range []struct {
		region, digits string
		want           bool
	}{
		{"GB", "02079460958", true}, {"GB", "07911123456", true}, {"GB", "01234", false}, {"GB", "2079460958", false},
		{"DE", "030901820", true}, {"DE", "015112345678", true}, {"DE", "0000000000", false},
		{"US", "0125550100", false}, {"US", "2124567890", true}, {"US", "12124567890", true}, {"US", "1114567890", false},
		{"ES", "612345678", true}, {"ES", "0612345678", false}, {"BR", "11961234567", true},
	} {
		r, ok := Find(tc.region)
		if !ok {
			t.Fatalf("no region %s", tc.region)
		}
		if got := r.Dialled([]byte(tc.digits)) || r.Bare([]byte(tc.digits)); got != tc.want {
			t.Errorf("%s in %s is %v", tc.digits, tc.region, got)
		}
	}
	if _, ok := Find("XX"); ok {
		t.Error("there is a region XX")
	}
	for digits, want := range map[string]bool{"442079460958": true, "4402079460958": true, "44": false, "": false, "99912345678": false} {
		if Valid([]byte(digits)) != want {
			t.Errorf("+%s is %v", digits, !want)
		}
	}
	if Possible([]byte("9991234567")) || Possible([]byte("4412")) || !Possible([]byte("15551234567")) || Possible(nil) {
		t.Error("possible numbers")
	}
}

func TestNothingIsAllocated(t *testing.T) {
	digits := []byte("442079460958")
	gb, _ := Find("GB")
	if n := testing.AllocsPerRun(100, func() { Valid(digits); Possible(digits); gb.Dialled(digits); gb.Bare(digits) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkValid(b *testing.B) {
	digits := []byte("442079460958")
	for b.Loop() {
		Valid(digits)
	}
}
