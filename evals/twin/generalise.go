package twin

import (
	"fmt"
	"strings"

	"sallyport/evals/harness"
)

// bucket is how a label is generalised, and a value of row k in the same bucket in both twins.
type bucket struct {
	mask  harness.Mask
	value func(k int, second bool) string
}

func width(w string, value func(k, d int) string) bucket {
	return bucket{harness.Mask{Transform: "generalise", Bucket: w}, func(k int, second bool) string { return value(k, b2i(second)) }}
}

func period(style string, value func(k, d int) string) bucket {
	return bucket{harness.Mask{Transform: "generalise", Style: style}, func(k int, second bool) string { return quote(value(k, b2i(second))) }}
}

// beginning keeps the first characters of a text that goes on differently.
func beginning(n int, start func(k int) string) bucket {
	return width(fmt.Sprint(n), func(k, d int) string {
		s := (start(k) + "abcdefgh")[:n]
		return quote(s + letters(rng("beginning", k, d == 1), 5, d == 1))
	})
}

func letter(k int) string { return string('a' + rune(k%26)) }

// buckets are the generalised labels. Their columns differ between the twins within the bucket only; arrays have
// the same shape, which the mask keeps.
var buckets = map[string]bucket{
	"email": beginning(1, letter),
	"phone": beginning(3, func(k int) string { return fmt.Sprintf("+%d ", 1+k%9) }),
	"card":  beginning(4, func(k int) string { return fmt.Sprintf("%04d", 4000+k%50) }),
	"code":  beginning(2, letter),
	"nick":  beginning(1, letter),
	"age":   width("10", func(k, d int) string { return fmt.Sprint(20 + 10*(k%6) + (k*3+5*d)%10) }),
	"big":   width("1000000", func(k, d int) string { return fmt.Sprint(k*1000000 + 17*k + 333333*d) }),
	"salary": width("1000", func(k, d int) string {
		return fmt.Sprintf("%d.%02d", 1000*(1+k%9)+(k*37+501*d)%1000, (k+9*d)%100)
	}),
	"score": width("0.25", func(k, d int) string { return fmt.Sprintf("%.4f", float64(k%20)*0.25+0.01+0.2*float64(d)) }),
	"pin":   width("1000", func(k, d int) string { return fmt.Sprint(100000 + 1000*k + 10 + 500*d) }),
	"pay":   width("1000", func(k, d int) string { return fmt.Sprint(1000000 + 1000*k + 499*d) }),
	"born": period("decade", func(k, d int) string {
		return fmt.Sprintf("%d-%02d-%02d", 1940+10*(k%6)+(k+7*d)%10, 1+(k+5*d)%12, 1+(k+9*d)%28)
	}),
	"seen": period("month", func(k, d int) string {
		return fmt.Sprintf("2024-%02d-%02d 10:00:%02d+00", 1+k%12, 1+(k+11*d)%28, (k+7*d)%60)
	}),
	"nums": width("1000", func(k, d int) string {
		a, b := k*1000+1+500*d, 7000+3*d
		return quote([]string{fmt.Sprintf("{%d,%d}", a, b), fmt.Sprintf("{{%d},{NULL},{%d}}", a, b), fmt.Sprintf("[0:1]={%d,%d}", a, b)}[k%3])
	}),
	"tags": width("1", func(k, d int) string {
		tags := make([]string, 1+k%3)
		for i := range tags {
			tags[i] = letter(k+i) + letters(rng("tag", k+100*i, d == 1), 6, d == 1)
		}
		if list := strings.Join(tags, ","); k%4 > 0 {
			return quote("{" + list + "}")
		} else {
			return quote("{{" + list + "},{" + list + "}}")
		}
	}),
}

// numeric labels show the lower end of their bucket, which could be a real value by chance.
var numeric = map[string]bool{"age": true, "big": true, "salary": true, "score": true, "pin": true, "pay": true, "born": true, "seen": true, "nums": true}

// generalised gives the bucket of a column, if it has one.
func (c column) generalised() (bucket, bool) {
	name := c.name
	if name == "boss_email" {
		name = "email"
	}
	b, ok := buckets[name]
	return b, ok
}
