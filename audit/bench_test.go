package audit

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/access"
)

// sample is a record of a usual size: about 1 KiB as JSON.
func sample() access.Record {
	return access.Record{
		Session: "s_4f1c9a6be2d7403f", Seq: 17, Time: time.Date(2026, 11, 23, 14, 2, 11, 123456000, time.UTC),
		Kind: access.RecordStatement, Door: access.DoorPGWire, Connection: "shop", Principal: "support-agent",
		Actor: "claude-desktop", Groups: []string{"agents", "support"}, Client: "127.0.0.1:53412 psql",
		Task: "t_81a0", Reason: "customer asks where order 1042 is",
		SQL:    "SELECT c.id, c.name, c.email FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.id = $1",
		Params: []string{"1042"},
		Plan: json.RawMessage(`{"class":"READ","tag":"SELECT","fingerprint":"50fde20626009aba","relations":["public.customers","public.orders"],"labels":["pii.email","pii.name"],` +
			`"masks":[{"column":"public.customers.email","label":"pii.email","transform":"partial"}],"effect":"allow","policies":["support-read"],"policy_version":"4a7d1ed414474e40","catalog_version":"12","compiled":true}`),
		Rows: 1, Bytes: 58, Columns: []string{"id", "name", "email"},
		Result: []byte(strings.Repeat("D\x00\x00\x00\x0d\x00\x01\x00\x00\x00\x03abc", 5)), Formats: []int16{0, 0, 0},
		Digest: strings.Repeat("ab", 32), Command: "SELECT 1", Micros: 431,
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 8, 32, 256} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			l, err := Open(b.TempDir(), Options{})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for c := range callers {
				n := b.N / callers
				if c < b.N%callers {
					n++
				}
				wg.Go(func() {
					rec := sample()
					for range n {
						if _, err := l.Append(&rec); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rec/s")
			l.Close()
		})
	}
}

func BenchmarkSeal(b *testing.B) {
	keys, err := openKeys(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	rec := sample()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = keys.appendBody(buf[:0], &rec)
	}
	b.SetBytes(int64(len(buf)))
}
