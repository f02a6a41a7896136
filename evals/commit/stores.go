package commit

import (
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	_ "modernc.org/sqlite"

	"sallyport/audit"
	"sallyport/internal/access"
)

// opened is a store in use.
type opened struct {
	caller func(n int) func() error // gives caller n its way to make one record durable
	close  func() error
}

// store is somewhere a record can be kept.
type store struct {
	name, about string
	open        func(dir string, callers int) (opened, error)
}

// stores begin with what is measured; the others are what it is compared with.
var stores = []store{
	{"append", "the audit log, sealed, hashed and in its tree", openLog},
	{"bbolt_update", "bbolt, a transaction a record", func(dir string, _ int) (opened, error) { return openBolt(dir, 0, (*bbolt.DB).Update) }},
	{"bbolt_batch", "bbolt, Batch as it is configured by itself (10 ms, 1000 calls)", func(dir string, _ int) (opened, error) { return openBolt(dir, 0, (*bbolt.DB).Batch) }},
	{"bbolt_batch_tuned", "bbolt, Batch that begins as soon as all callers are in it", func(dir string, callers int) (opened, error) { return openBolt(dir, callers, (*bbolt.DB).Batch) }},
	{"sqlite_wal", "SQLite, WAL with synchronous=FULL, one connection with a prepared INSERT", openSQLite},
	{"floor", "one write of a record for each caller into space that is there, and one fdatasync: what the disk can do", openFloor},
}

// record is one of a usual size.
func record(caller int) access.Record {
	return access.Record{
		Session: fmt.Sprintf("s_4f1c9a6be2d7%04x", caller), Time: time.Now().UTC(),
		Kind: access.RecordStatement, Door: access.DoorPGWire, Connection: "shop", Principal: "support-agent",
		Actor: "desktop", Groups: []string{"agents", "support"}, Client: "127.0.0.1:53412 psql",
		Task: "t_81a0", Reason: "customer asks where order 1042 is",
		SQL:    "SELECT c.id, c.name, c.email FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.id = $1",
		Params: []string{"1042"}, Plan: plan,
		Rows: 1, Bytes: 58, Columns: []string{"id", "name", "email"},
		Result: []byte(strings.Repeat("D\x00\x00\x00\x0d\x00\x01\x00\x00\x00\x03abc", 5)), Formats: []int16{0, 0, 0},
		Digest: strings.Repeat("ab", 32), Command: "SELECT 1", Micros: 431,
	}
}

// plan is made once, as the gateway does.
var plan = json.RawMessage(`{"class":"READ","tag":"SELECT","fingerprint":"50fde20626009aba","relations":["public.customers","public.orders"],"labels":["pii.email","pii.name"],` +
	`"masks":[{"column":"public.customers.email","label":"pii.email","transform":"partial"}],"effect":"allow","policies":["support-read"],"policy_version":"4a7d1ed414474e40","catalog_version":"12","compiled":true}`)

// payload is what the rivals keep: the same record as JSON, ready made.
var payload = func() []byte {
	rec := record(0)
	rec.Position, rec.Seq = 100000, 1000
	b, err := json.Marshal(&rec)
	if err != nil {
		panic(err)
	}
	return b
}()

func openLog(dir string, _ int) (opened, error) {
	l, err := audit.Open(dir, audit.Options{})
	if err != nil {
		return opened{}, err
	}
	return opened{close: l.Close, caller: func(n int) func() error {
		rec := record(n)
		rec.Kind = access.RecordOpen
		return func() error {
			rec.Seq++
			_, err := l.Append(&rec)
			rec.Kind = access.RecordStatement
			return err
		}
	}}, nil
}

func openBolt(dir string, batch int, run func(*bbolt.DB, func(*bbolt.Tx) error) error) (opened, error) {
	db, err := bbolt.Open(filepath.Join(dir, "bolt"), 0o600, nil)
	if err != nil {
		return opened{}, err
	}
	if batch > 0 {
		db.MaxBatchSize = batch
	}
	bucket := []byte("records")
	err = db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket(bucket); return err })
	if err != nil {
		return opened{}, err
	}
	var last atomic.Uint64
	return opened{close: db.Close, caller: func(int) func() error {
		return func() error {
			key := binary.BigEndian.AppendUint64(nil, last.Add(1))
			return run(db, func(tx *bbolt.Tx) error {
				b := tx.Bucket(bucket)
				b.FillPercent = 0.9 // keys come in order
				return b.Put(key, payload)
			})
		}
	}}, nil
}

func openSQLite(dir string, _ int) (opened, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "sqlite")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return opened{}, err
	}
	db.SetMaxOpenConns(1) // there is one writer at a time anyway, and waiting here costs less than SQLITE_BUSY
	if _, err := db.Exec("CREATE TABLE records (pos INTEGER PRIMARY KEY, payload BLOB NOT NULL)"); err != nil {
		return opened{}, err
	}
	var mode string
	var sync int
	if err := db.QueryRow("PRAGMA journal_mode").Scan(&mode); err != nil || mode != "wal" {
		return opened{}, fmt.Errorf("journal_mode is %q: %w", mode, err)
	}
	if err := db.QueryRow("PRAGMA synchronous").Scan(&sync); err != nil || sync != 2 {
		return opened{}, fmt.Errorf("synchronous is %d: %w", sync, err)
	}
	insert, err := db.Prepare("INSERT INTO records (payload) VALUES (?)")
	if err != nil {
		return opened{}, err
	}
	return opened{close: db.Close, caller: func(int) func() error {
		return func() error { _, err := insert.Exec(payload); return err }
	}}, nil
}

// floorRoom is written before it is needed, as the log's segments are.
const floorRoom = 64 << 20

// openFloor makes the records of all callers durable at once whenever the first of them asks, and lets the others go
// without a word: what would be left of a group commit that cost nothing.
func openFloor(dir string, callers int) (opened, error) {
	f, err := os.Create(filepath.Join(dir, "floor"))
	if err != nil {
		return opened{}, err
	}
	if _, err = f.Write(make([]byte, floorRoom)); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return opened{}, err
	}
	all := []byte(strings.Repeat(string(payload), callers))
	var mu sync.Mutex
	var used int64
	return opened{close: f.Close, caller: func(n int) func() error {
		if n > 0 {
			return nil
		}
		return func() error {
			mu.Lock()
			defer mu.Unlock()
			if used+int64(len(all)) > floorRoom {
				used = 0
			}
			if _, err := f.WriteAt(all, used); err != nil {
				return err
			}
			used += int64(len(all))
			return datasync(f)
		}
	}}, nil
}
