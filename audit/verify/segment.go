package verify

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	fixedHeader = 104 // bytes of a segment's header before its JSON
	frameHeader = 12  // length, back, checksum
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// segment is a file of a log.
type segment struct {
	name     string
	first    uint64
	after    uint64
	log      [16]byte
	root     tlog.Hash // of the tree before it
	payloads [][]byte
	batches  []int         // frames (from 0) that say that they are of a batch they cannot be of
	open     []openSession // that it was begun with, by session
	rest     []byte        // what follows the last good frame
	end      int           // where that is
	why      string        // it is no frame
}

// openSession is what a header says of a session that had not ended.
type openSession struct {
	Session string      `json:"session"`
	Seq     uint64      `json:"seq"`
	Opened  bool        `json:"opened"`
	Intents []uint64    `json:"intents"` // without outcome
	Edge    []tlog.Hash `json:"edge"`    // roots of the complete subtrees over its records
	Leaves  int64       `json:"leaves"`  // in it
}

// segments reads the names of a log's segments, in order.
func segments(dir string) ([]string, error) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range names {
		if strings.HasSuffix(e.Name(), ".seg") {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(out)
	if len(out) == 0 {
		err = errors.New("there is no log in it")
	}
	return out, err
}

func readSegment(path string) (*segment, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &segment{name: filepath.Base(path)}
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(data[at:]) }
	if len(data) < fixedHeader || string(data[:8]) != "sallylog" {
		return nil, fmt.Errorf("%s is not a segment of a log", s.name)
	}
	if v := u32(8); v != 2 {
		return nil, fmt.Errorf("%s has format version %d, and this program knows 2", s.name, v)
	}
	state := int64(u32(12))
	if state > int64(len(data)-fixedHeader) {
		return nil, fmt.Errorf("the header of %s is cut short", s.name)
	}
	at := fixedHeader + int(state)
	sum := crc32.Update(crc32.Checksum(data[:fixedHeader-4], castagnoli), castagnoli, data[fixedHeader:at])
	if sum != u32(fixedHeader-4) {
		return nil, fmt.Errorf("the header of %s does not have its checksum", s.name)
	}
	s.first, s.after = binary.LittleEndian.Uint64(data[16:]), binary.LittleEndian.Uint64(data[88:])
	copy(s.log[:], data[40:])
	copy(s.root[:], data[56:])
	if err := json.Unmarshal(data[fixedHeader:at], &s.open); err != nil {
		return nil, fmt.Errorf("the header of %s does not say which sessions were open", s.name)
	}
	batch := at // where the batch of the frame before begins
	for {
		if len(data)-at < frameHeader {
			s.why = "is cut short"
			break
		}
		n := int64(u32(at))
		if n == 0 || n > int64(len(data)-at-frameHeader) {
			s.why = fmt.Sprintf("has %d bytes as its length", n)
			break
		}
		payload := data[at+frameHeader : at+frameHeader+int(n)]
		if crc32.Update(crc32.Checksum(data[at:at+8], castagnoli), castagnoli, payload) != u32(at+8) {
			s.why = "does not have its checksum"
			break
		}
		if back := int64(u32(at + 4)); back == 0 {
			batch = at
		} else if back != int64(at-batch) {
			s.batches = append(s.batches, len(s.payloads))
		}
		s.payloads = append(s.payloads, payload)
		at += frameHeader + int(n)
	}
	s.rest, s.end = bytes.TrimRight(data[at:], "\x00"), at
	return s, nil
}

// edge is a Merkle tree that grows (RFC 6962): the roots of its complete subtrees.
type edge struct {
	size  int64
	roots []tlog.Hash
	seen  func(tlog.Hash) // if not nil, gets every hash that is final, in the order of tlog.StoredHashIndex
}

func (e *edge) add(leaf tlog.Hash) {
	h := leaf
	e.final(h)
	for n := e.size; n&1 == 1; n >>= 1 {
		h = tlog.NodeHash(e.roots[len(e.roots)-1], h)
		e.roots = e.roots[:len(e.roots)-1]
		e.final(h)
	}
	e.roots = append(e.roots, h)
	e.size++
}

func (e *edge) final(h tlog.Hash) {
	if e.seen != nil {
		e.seen(h)
	}
}

func (e *edge) tree() tlog.Tree {
	if e.size == 0 {
		h, _ := tlog.TreeHash(0, nil)
		return tlog.Tree{Hash: h}
	}
	h := e.roots[len(e.roots)-1]
	for i := len(e.roots) - 2; i >= 0; i-- {
		h = tlog.NodeHash(e.roots[i], h)
	}
	return tlog.Tree{N: e.size, Hash: h}
}
