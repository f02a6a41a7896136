package export

import (
	"context"
	"encoding/json"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
)

// BenchmarkAppend is what a durable record costs 32 callers, alone and beside an exporter that keeps up.
func BenchmarkAppend(b *testing.B) {
	for _, beside := range []string{"alone", "beside_a_file_exporter"} {
		b.Run(beside, func(b *testing.B) {
			dir := b.TempDir()
			l, err := audit.Open(filepath.Join(dir, "log"), audit.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			if beside != "alone" {
				s, err := Open(filepath.Join(dir, "log"), filepath.Join(dir, "state"), []Config{fileConfig(filepath.Join(dir, "f"))}, Options{})
				if err != nil {
					b.Fatal(err)
				}
				s.Start()
				defer s.Close(context.Background())
			}
			var seq atomic.Uint64
			b.SetParallelism(16)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					rec := &access.Record{Session: "s", Seq: seq.Add(1), Time: time.Now(), Kind: access.RecordStatement, Door: access.DoorPGWire, Connection: "shop", Principal: "ada",
						SQL: "SELECT email FROM customers WHERE id = 1", Plan: json.RawMessage(testPlan), Rows: 1}
					if _, err := l.Append(rec); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.StopTimer()
		})
	}
}
