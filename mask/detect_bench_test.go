package mask

import (
	"strings"
	"testing"
)

// BenchmarkDetectorNumbers is text full of digits that are nobody's: the worst case without a finding.
func BenchmarkDetectorNumbers(b *testing.B) {
	text := []byte(strings.Repeat("2026-05-06 10:11:12.123456+00,8812345,199.99,sku-77123,9f86d081884c7d65,ok 200 in 35 ms\n", 20))
	dst := make([]byte, 0, 2*len(text))
	d := NewDetector()
	if _, n := d.Redact(dst, text); n != 0 {
		b.Fatalf("%d findings: %v", n, d.Find(nil, text)[:1])
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		d.Redact(dst[:0], text)
	}
}
