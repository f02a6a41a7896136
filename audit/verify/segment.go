package verify

import (
	"bytes"
	"encoding/binary"
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
	rest     []byte // what follows the last good frame
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
	for {
		if len(data)-at < frameHeader {
			break
		}
		n := int64(u32(at))
		if n == 0 || n > int64(len(data)-at-frameHeader) {
			break
		}
		payload := data[at+frameHeader : at+frameHeader+int(n)]
		if crc32.Update(crc32.Checksum(data[at:at+8], castagnoli), castagnoli, payload) != u32(at+8) {
			break
		}
		s.payloads = append(s.payloads, payload)
		at += frameHeader + int(n)
	}
	s.rest = bytes.TrimRight(data[at:], "\x00")
	return s, nil
}

// edge is a Merkle tree that grows (RFC 6962): the roots of its complete subtrees.
type edge struct {
	size  int64
	roots []tlog.Hash
}

func (e *edge) add(leaf tlog.Hash) {
	h := leaf
	for n := e.size; n&1 == 1; n >>= 1 {
		h = tlog.NodeHash(e.roots[len(e.roots)-1], h)
		e.roots = e.roots[:len(e.roots)-1]
	}
	e.roots = append(e.roots, h)
	e.size++
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
