package balancer

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"
)

const (
	// fixed is the length of what every header of version 2 begins with: signature, version and command, family, length.
	fixed = 16
	// maxRest is how much may follow: addresses, and some extensions. The protocol has room for 64 KiB.
	maxRest = 4 << 10
)

var (
	errNone     = errors.New("no PROXY header of version 2, which is demanded of this source")
	errTooLong  = fmt.Errorf("the PROXY header is longer than %d bytes", fixed+maxRest)
	errFamily   = errors.New("the PROXY header has no TCP address of the client")
	errChecksum = errors.New("the PROXY header's checksum is wrong")
	errLoopback = errors.New("the PROXY header tells of a client on loopback, and the balancer is another machine")
)

// readFrame reads one header, and not a byte behind it. What cannot become one is an error as soon as that shows.
func readFrame(r io.Reader) ([]byte, error) {
	frame := make([]byte, fixed, fixed+36) // addresses of IPv6
	for n := 0; n < fixed; {
		k, err := r.Read(frame[n:])
		n += k
		seen := min(n, len(proxyproto.SIGV2))
		if !bytes.Equal(frame[:seen], proxyproto.SIGV2[:seen]) {
			return nil, errNone
		}
		if err != nil && n < fixed {
			return nil, err
		}
	}
	rest := int(binary.BigEndian.Uint16(frame[fixed-2:]))
	if rest > maxRest {
		return nil, errTooLong
	}
	frame = append(frame, make([]byte, rest)...)
	if _, err := io.ReadFull(r, frame[fixed:]); err != nil {
		return nil, err
	}
	return frame, nil
}

// decode tells which client a header names. ok is false where it names none, because the balancer speaks for itself (LOCAL, as its
// health checks do).
func decode(frame []byte) (client netip.AddrPort, ok bool, err error) {
	src := bytes.NewReader(frame)
	r := bufio.NewReader(src)
	h, err := proxyproto.Read(r)
	if err != nil {
		return netip.AddrPort{}, false, err
	}
	if h.Version != 2 || r.Buffered()+src.Len() > 0 {
		return netip.AddrPort{}, false, errNone
	}
	if h.Command.IsLocal() {
		return netip.AddrPort{}, false, nil
	}
	if h.TransportProtocol != proxyproto.TCPv4 && h.TransportProtocol != proxyproto.TCPv6 {
		return netip.AddrPort{}, false, errFamily
	}
	tlvs, err := h.TLVs()
	if err != nil {
		return netip.AddrPort{}, false, err
	}
	for _, t := range tlvs {
		if t.Type == proxyproto.PP2_TYPE_CRC32C && !checksumHolds(frame, h.TransportProtocol) {
			return netip.AddrPort{}, false, errChecksum
		}
	}
	tcp, is := h.SourceAddr.(*net.TCPAddr)
	if !is {
		return netip.AddrPort{}, false, errFamily
	}
	client = tcp.AddrPort()
	client = netip.AddrPortFrom(client.Addr().Unmap(), client.Port())
	if a := client.Addr(); !a.IsValid() || a.IsUnspecified() || a.IsMulticast() {
		return netip.AddrPort{}, false, errFamily
	}
	return client, true, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksumHolds computes the CRC32c over a header, in which the checksum's own four bytes count as zero (section 2.2.4 of the
// protocol). The extensions of frame are known to be whole.
func checksumHolds(frame []byte, family proxyproto.AddressFamilyAndProtocol) bool {
	at := fixed + 12
	if family == proxyproto.TCPv6 {
		at = fixed + 36
	}
	for at+3 <= len(frame) {
		size := int(binary.BigEndian.Uint16(frame[at+1:]))
		if frame[at] == byte(proxyproto.PP2_TYPE_CRC32C) {
			if size != 4 || at+7 > len(frame) {
				return false
			}
			want := binary.BigEndian.Uint32(frame[at+3:])
			blank := bytes.Clone(frame)
			clear(blank[at+3 : at+7])
			return crc32.Checksum(blank, castagnoli) == want
		}
		at += 3 + size
	}
	return false
}
