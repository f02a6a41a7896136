package audit

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sallyport/audit/internal/durable"
	"sallyport/audit/internal/trace"
	"sallyport/internal/access"
)

// ordersName is the file that says where the orders of a log are, so that nobody has to read all of it to find them.
// It can be made again from the log.
const ordersName = "orders"

type ordersFile struct {
	Through uint64   `json:"through"` // the records up to this one were looked at
	At      []uint64 `json:"at"`      // positions of orders
}

// order is a record about the record, read.
type order struct {
	*access.Record
	access.Order
	scope access.Scope // with the person, unless that was erased
}

// readOrders gives the orders in the log in dir, and the file of where they are, which knows of all records that could
// be read.
func readOrders(dir string) ([]*order, ordersFile, error) {
	known, err := knownOrders(dir)
	if err != nil {
		return nil, known, err
	}
	var r segmentReader
	err = r.readFrom(dir, known.Through+1, nil, func(pos uint64, payload []byte) error {
		if pos <= known.Through {
			return nil
		}
		known.Through = pos
		var head struct {
			Kind access.RecordKind `json:"kind"`
		}
		line := headOf(payload)
		// Most records are none, and to say so must be cheap.
		if !bytes.Contains(line, []byte(`,"session":"",`)) {
			return nil
		}
		if err := json.Unmarshal(line, &head); err != nil {
			return damaged(dir, fmt.Errorf("record %d cannot be read: %w", pos, err))
		}
		if trace.IsOrder(head.Kind) {
			known.At = append(known.At, pos)
		}
		return nil
	})
	if err != nil {
		return nil, known, err
	}
	recs := make(map[uint64]*access.Record, len(known.At))
	for _, pos := range known.At {
		recs[pos] = nil
	}
	if err := readPositions(dir, recs); err != nil {
		return nil, known, err
	}
	var out []*order
	for _, pos := range slices.Sorted(maps.Keys(recs)) {
		rec := recs[pos]
		if rec == nil || !trace.IsOrder(rec.Kind) {
			return nil, known, damaged(dir, fmt.Errorf("record %d is no order, and %s says so: if that file is wrong, remove it", pos, ordersName))
		}
		o := &order{Record: rec}
		if len(rec.Order) > 0 {
			if err := json.Unmarshal(rec.Order, &o.Order); err != nil {
				return nil, known, damaged(dir, fmt.Errorf("record %d cannot be read: %w", pos, err))
			}
		}
		o.scope = o.Order.Scope
		if len(rec.Scope) > 0 {
			if err := json.Unmarshal(rec.Scope, &o.scope); err != nil {
				return nil, known, damaged(dir, fmt.Errorf("record %d cannot be read: %w", pos, err))
			}
		}
		out = append(out, o)
	}
	return out, known, nil
}

func knownOrders(dir string) (ordersFile, error) {
	var known ordersFile
	data, err := os.ReadFile(filepath.Join(dir, ordersName))
	if errors.Is(err, fs.ErrNotExist) {
		return known, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &known)
	}
	if err != nil {
		return known, openFailed(dir, fmt.Errorf("read %s: %w", ordersName, err))
	}
	return known, nil
}

// ordersNow reads the orders, and keeps where they are. The caller holds l.orders.
func (l *Log) ordersNow() ([]*order, error) {
	durably := uint64(l.trees.heads().all.N) // what a crash takes back may come again as something else
	all, known, err := readOrders(l.dir)
	if err != nil {
		return nil, err
	}
	known.Through = min(known.Through, durably)
	known.At = slices.DeleteFunc(known.At, func(pos uint64) bool { return pos > durably })
	data, err := json.Marshal(known)
	if err == nil {
		err = durable.Replace(l.path(ordersName), data, 0o600)
	}
	if err != nil {
		return nil, openFailed(l.dir, fmt.Errorf("write %s: %w", ordersName, err))
	}
	return all, nil
}

// give appends an order to the log. with is its scope with the person.
func (l *Log) give(kind access.RecordKind, o *access.Order, with access.Scope, by, why string) (uint64, error) {
	rec, err := orderRecord(kind, o, with, by, why)
	if err != nil {
		return 0, err
	}
	return l.Append(rec)
}

func orderRecord(kind access.RecordKind, o *access.Order, with access.Scope, by, why string) (*access.Record, error) {
	rec := &access.Record{Time: time.Now().UTC(), Kind: kind, Principal: by, Reason: why, Rows: int64(o.Records)}
	var err error
	if rec.Order, err = json.Marshal(o); err != nil {
		return nil, err
	}
	if with.Person != "" {
		rec.Scope, err = json.Marshal(with)
	}
	return rec, err
}

func newOrderID(prefix string) string {
	var b [8]byte
	rand.Read(b[:])
	return prefix + hex.EncodeToString(b[:])
}

// unnamed is a scope without its person.
func unnamed(s access.Scope) access.Scope {
	s.Person = ""
	return s
}

// refused is for orders that cannot be carried out.
func refused(message, hint string) *access.Error {
	return &access.Error{Kind: access.Denied, Code: "42501", Message: message, Hint: hint}
}
