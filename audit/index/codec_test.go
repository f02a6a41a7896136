package index

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sallyport/audit"
)

func TestSetsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s set
		var list []uint32
		step := rapid.SampledFrom([]int{1, 2, 7, 300, 50_000}).Draw(t, "step")
		for low := rapid.IntRange(0, step).Draw(t, "from"); low < chunkSize; low += rapid.IntRange(1, step).Draw(t, "d") {
			s.add(uint32(low))
			list = append(list, uint32(low))
			if len(list) == 70_000 {
				break
			}
		}
		for _, data := range [][]byte{appendSet(nil, &s), appendList(nil, list)} {
			var got set
			if err := addTo(&got, data); err != nil || got != s {
				t.Fatalf("%d positions in %d bytes come back otherwise: %v", len(list), len(data), err)
			}
			if len(data) > 1+chunkSize/8 {
				t.Fatalf("%d bytes", len(data))
			}
		}
		var back []uint32
		for low, ok := s.below(chunkSize); ok; low, ok = s.below(low) {
			back = append(back, uint32(low))
		}
		slices.Reverse(back)
		if !slices.Equal(back, list) || s.count() != len(list) {
			t.Fatalf("walking gives %d of %d", len(back), len(list))
		}
	})
}

func TestSetsGrowAndShrink(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some := func(name string, n int) (s set, list []uint32) {
			most := rapid.SampledFrom([]int{100, 100_000}).Draw(t, name)
			for low := rapid.IntRange(0, 50).Draw(t, name); low < chunkSize && len(list) < n; low += 1 + rapid.IntRange(0, chunkSize/most).Draw(t, name) {
				s.add(uint32(low))
				list = append(list, uint32(low))
			}
			return s, list
		}
		a, list := some("a", 300)
		b, more := some("b", 300)
		dense := rapid.Bool().Draw(t, "dense")
		if dense {
			a.fill(100, 90_000)
		}
		data := appendSet(nil, &a)
		if dense != (data[0] == asBits) {
			t.Fatalf("%d positions are kept as %c", len(list), data[0])
		}
		both, err := with(data, more)
		want := a
		for _, low := range more {
			want.add(low)
		}
		var got set
		if err != nil || addTo(&got, both) != nil || got != want {
			t.Fatal("together they are otherwise")
		}
		rest, had, err := without(both, &b)
		want.without(&b)
		got = set{}
		if err != nil || had != (len(more) > 0) || rest == nil != (want.count() == 0 || !had) || rest != nil && (addTo(&got, rest) != nil || got != want) {
			t.Fatal("what is left is otherwise")
		}
	})
}

func TestFill(t *testing.T) {
	for _, r := range [][2]uint32{{0, 0}, {0, 63}, {1, 64}, {63, 64}, {5, 5000}, {0, chunkSize - 1}, {chunkSize - 1, chunkSize - 1}} {
		var s set
		s.fill(r[0], r[1])
		if n := int(r[1]) - int(r[0]) + 1; s.count() != n || !s.has(r[0]) || !s.has(r[1]) {
			t.Errorf("%v has %d, want %d", r, s.count(), n)
		}
	}
}

func FuzzSet(f *testing.F) {
	f.Add([]byte("l\x00\x01\x02"))
	f.Add([]byte("b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s, again set
		if addTo(&s, data) != nil {
			return
		}
		if err := addTo(&again, appendSet(nil, &s)); err != nil || again != s {
			t.Fatal("it comes back otherwise")
		}
	})
}

func TestSpansComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, spanSize).Draw(t, "n")
		first := rapid.Uint64Range(1, 1<<40).Draw(t, "at")<<spanBits + rapid.Uint64Range(0, uint64(spanSize-n)).Draw(t, "in")
		s := &span{first: first}
		at := audit.Place{Segment: rapid.Uint64Range(1, first).Draw(t, "segment"), Offset: rapid.Int64Range(104, 1<<40).Draw(t, "offset")}
		for i := range n {
			if i > 0 {
				at.Offset += rapid.Int64Range(1, 1<<24).Draw(t, "length")
				if rapid.IntRange(0, 20).Draw(t, "new") == 0 {
					at = audit.Place{Segment: s.end(), Offset: rapid.Int64Range(104, 1<<20).Draw(t, "start")}
				}
			}
			s.add(rapid.Int64Range(-1<<55, 1<<55).Draw(t, "time"), at)
		}
		got, err := readSpan(appendSpan(nil, s))
		if err != nil || got.first != s.first || !slices.Equal(got.times, s.times) || !slices.Equal(got.places, s.places) {
			t.Fatalf("%+v comes back as %+v, %v", s, got, err)
		}
	})
}

func FuzzSpan(f *testing.F) {
	f.Add(appendSpan(nil, &span{300, []int64{1, 2}, []audit.Place{{Segment: 1, Offset: 200}, {Segment: 301, Offset: 104}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := readSpan(data)
		if err == nil && (len(s.times) > spanSize || len(s.times) != len(s.places)) {
			t.Fatal("more than a span has")
		}
	})
}

// What a text has as a whole word has no words that the text has not: the index loses nothing.
func TestWordsRuleNothingOut(t *testing.T) {
	chars := rapid.SampledFrom([]rune("abAB1_ .@-'ßİǅ日本ไทé\u0301\u200b\xff\n"))
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(chars, 0, 40, -1).Draw(t, "text")
		phrase := rapid.StringOfN(chars, 1, 4, -1).Draw(t, "phrase")
		words := func(s string) map[string]bool {
			out := map[string]bool{}
			eachWord(s, func(w string) bool { out[w] = true; return true })
			return out
		}
		q := Query{Words: []string{phrase}}
		if !has(text, lower(q.Words[0])) {
			return
		}
		have := words(text)
		for w := range words(phrase) {
			if !have[w] {
				t.Fatalf("%q has %q, and not its word %q of %v", text, phrase, w, have)
			}
		}
	})
}

func TestHas(t *testing.T) {
	for _, tc := range []struct {
		text, phrase string
		want         bool
	}{
		{"SELECT email FROM c", "email", true},
		{"SELECT emails FROM c", "email", false},
		{"SELECT e_mail2, mail FROM c", "mail", true},
		{"emails email", "email", true},
		{"to jane@example.com.", "jane@example.com", true},
		{"to xjane@example.com", "jane@example.com", false},
		{"山田太郎さん", "太郎", true},
		{"ab日", "ab", true},
		{"", "a", false},
	} {
		if got := has(tc.text, tc.phrase); got != tc.want {
			t.Errorf("%q has %q: %v", tc.text, tc.phrase, got)
		}
	}
}
