package audit

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	magic      = "sallylog"
	version    = 2
	fixedLen   = 104     // header without its state
	frameLen   = 12      // length, back, crc
	maxPayload = 1 << 24 // exclusive, so that the top byte of a length is NUL
	suffix     = ".seg"
	spareName  = "spare.tmp"
	lockName   = "LOCK"
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// payloadStart is what every payload begins with; it makes looking for frames in damaged data quick.
var payloadStart = []byte(`{"pos":`)

// header is the start of a segment. On disk, little endian:
//
//	0 magic, 8 version u32, 12 length of the state u32, 16 first u64, 24 size u64, 32 created i64 (us),
//	40 log id [16], 56 root [32], 88 after u64, 96 reserved u32, 100 crc32c of all that and the state
//	u32, 104 state
type header struct {
	First   uint64        // position of the first record
	Size    int64         // bytes reserved for the segment
	Created time.Time     // to the microsecond
	LogID   [16]byte      // random, the same in every segment of a log
	Root    tlog.Hash     // of the Merkle tree over all records before
	After   uint64        // First of the segment before; 0 when there was none
	State   []openSession // sessions that were open when the segment began
	length  int           // encoded
}

func appendHeader(dst []byte, h *header) ([]byte, error) {
	state, err := json.Marshal(h.State)
	if err != nil {
		return nil, err
	}
	at := len(dst)
	dst = append(dst, magic...)
	dst = binary.LittleEndian.AppendUint32(dst, version)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(state)))
	dst = binary.LittleEndian.AppendUint64(dst, h.First)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.Size))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.Created.UnixMicro()))
	dst = append(dst, h.LogID[:]...)
	dst = append(dst, h.Root[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, h.After)
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	crc := crc32.Update(crc32.Checksum(dst[at:], crcTable), crcTable, state)
	dst = binary.LittleEndian.AppendUint32(dst, crc)
	h.length = fixedLen + len(state)
	return append(dst, state...), nil
}

var errHeader = errors.New("not an audit segment, or its header is damaged")

func parseHeader(data []byte) (*header, error) {
	if len(data) < fixedLen || string(data[:8]) != magic {
		return nil, errHeader
	}
	if v := binary.LittleEndian.Uint32(data[8:]); v != version {
		return nil, fmt.Errorf("segment format version %d is not known here (this program writes %d)", v, version)
	}
	n := stateLen(data)
	if int64(len(data)) < fixedLen+n {
		return nil, errHeader
	}
	state := data[fixedLen : fixedLen+n]
	crc := crc32.Update(crc32.Checksum(data[:fixedLen-4], crcTable), crcTable, state)
	if crc != binary.LittleEndian.Uint32(data[fixedLen-4:]) {
		return nil, errHeader
	}
	h := &header{
		First:   binary.LittleEndian.Uint64(data[16:]),
		Size:    int64(binary.LittleEndian.Uint64(data[24:])),
		Created: time.UnixMicro(int64(binary.LittleEndian.Uint64(data[32:]))).UTC(),
		length:  int(fixedLen + n),
	}
	copy(h.LogID[:], data[40:])
	copy(h.Root[:], data[56:])
	h.After = binary.LittleEndian.Uint64(data[88:])
	if err := json.Unmarshal(state, &h.State); err != nil {
		return nil, errHeader
	}
	return h, nil
}

// stateLen reads the length of the state from the fixed part of a header.
func stateLen(fixed []byte) int64 { return int64(binary.LittleEndian.Uint32(fixed[12:])) }

func segmentName(first uint64) string { return fmt.Sprintf("%020d%s", first, suffix) }

// segments lists the segments of dir by first position.
func segments(dir string) ([]uint64, error) {
	names, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*"+suffix))
	if err != nil {
		return nil, err
	}
	var out []uint64
	for _, name := range names {
		base := filepath.Base(name)
		n, err := strconv.ParseUint(strings.TrimSuffix(base, suffix), 10, 64)
		if err != nil || base != segmentName(n) {
			return nil, fmt.Errorf("%s is no segment of this log", base)
		}
		out = append(out, n)
	}
	slices.Sort(out)
	return out, nil
}

func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

// appendFrame appends the frame of the record at pos whose payload continues with body after `{"pos":N`.
// back is the distance to the start of the batch.
func appendFrame(dst []byte, back int, pos uint64, body []byte) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	dst = append(dst, payloadStart...)
	dst = strconv.AppendUint(dst, pos, 10)
	dst = append(dst, body...)
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-frameLen))
	binary.LittleEndian.PutUint32(dst[at+4:], uint32(back))
	binary.LittleEndian.PutUint32(dst[at+8:], frameSum(dst[at:at+8], dst[at+frameLen:]))
	return dst
}

func frameSum(head, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(head, crcTable), crcTable, payload)
}

// frameAt reads the frame at off.
func frameAt(data []byte, off int) (payload []byte, back int, ok bool) {
	if len(data)-off < frameLen {
		return nil, 0, false
	}
	head := data[off : off+frameLen]
	n := int(binary.LittleEndian.Uint32(head))
	if n < len(payloadStart) || n >= maxPayload || n > len(data)-off-frameLen {
		return nil, 0, false
	}
	payload = data[off+frameLen : off+frameLen+n]
	if frameSum(head[:8], payload) != binary.LittleEndian.Uint32(head[8:]) {
		return nil, 0, false
	}
	return payload, int(binary.LittleEndian.Uint32(head[4:])), true
}

// ending says how the frames of a segment end.
type ending uint8

const (
	endClean   ending = iota // nothing but zeros, or nothing, after the last frame
	endTorn                  // the rest of one batch, written in part
	endDamaged               // frames of a later batch follow: what is there was once good
)

// endAt classifies what is in data at off, where no good frame is; next is where the frame that gives
// the damage away begins.
func endAt(data []byte, off int) (e ending, next int) {
	rest := data[off:]
	if len(bytes.Trim(rest, "\x00")) == 0 {
		return endClean, 0
	}
	for i := off; ; {
		j := bytes.Index(data[i:], payloadStart)
		if j < 0 {
			return endTorn, 0
		}
		at := i + j - frameLen
		i += j + 1
		if at < off {
			continue
		}
		if _, back, ok := frameAt(data, at); ok && at-back > off {
			return endDamaged, at
		}
	}
}
