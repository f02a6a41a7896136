package balancer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// frame is a header written by hand: command and family are the bytes 13 and 14.
func frame(command, family byte, rest ...[]byte) []byte {
	body := bytes.Join(rest, nil)
	b := append(bytes.Clone(proxyproto.SIGV2), command, family)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(body))), body...)
}

var (
	client4 = []byte{203, 0, 113, 9, 10, 0, 0, 1, 0x30, 0x39, 0x19, 0x8f} // port 12345
	client6 = append(append(append([]byte{}, netip.MustParseAddr("2001:db8::9").AsSlice()...), netip.MustParseAddr("2001:db8::1").AsSlice()...), 0x30, 0x39, 0x19, 0x8f)
)

func tlv(typ byte, value []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{typ}, uint16(len(value))), value...)
}

func checked(f []byte) []byte {
	f = bytes.Clone(f)
	binary.BigEndian.PutUint32(f[len(f)-4:], crc32.Checksum(f, crc32.MakeTable(crc32.Castagnoli)))
	return f
}

func open(t *testing.T, from string, log io.Writer) *Listener {
	t.Helper()
	return openFor(t, from, log, 1500*time.Millisecond)
}

// openFor is open with so much patience for headers.
func openFor(t *testing.T, from string, log io.Writer, patience time.Duration) *Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var prefixes []netip.Prefix
	if from != "" {
		prefixes = append(prefixes, netip.MustParsePrefix(from))
	}
	l := listen(ln, prefixes, slog.New(slog.NewTextHandler(log, nil)), patience)
	t.Cleanup(func() { l.Close() })
	return l
}

func dial(t *testing.T, l *Listener) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return c
}

// accept gives the next connection, or nil where none comes for a while.
func accept(t *testing.T, l *Listener) net.Conn {
	t.Helper()
	return acceptWithin(t, l, 2*time.Second)
}

func acceptWithin(t *testing.T, l *Listener, most time.Duration) net.Conn {
	t.Helper()
	got := make(chan net.Conn, 1)
	go func() { c, _ := l.Accept(); got <- c }()
	select {
	case c := <-got:
		if c != nil {
			t.Cleanup(func() { c.Close() })
		}
		return c
	case <-time.After(most):
		l.Close()
		<-got
		return nil
	}
}

func TestClientsAreWhoTheBalancerSays(t *testing.T) {
	local4 := []byte{127, 0, 0, 9, 127, 0, 0, 1, 0x30, 0x39, 0x19, 0x8f}
	for name, c := range map[string]struct {
		header []byte
		want   string // "" is the balancer's own
	}{
		"ipv4":                  {frame(0x21, 0x11, client4), "203.0.113.9:12345"},
		"ipv6":                  {frame(0x21, 0x21, client6), "[2001:db8::9]:12345"},
		"ipv4_within_ipv6":      {frame(0x21, 0x21, append(append(netip.MustParseAddr("::ffff:203.0.113.9").AsSlice(), make([]byte, 16)...), 0x30, 0x39, 0, 1)), "203.0.113.9:12345"},
		"with_extensions":       {frame(0x21, 0x11, client4, tlv(0x02, []byte("db.example.com")), tlv(0xea, make([]byte, 3000))), "203.0.113.9:12345"},
		"with_checksum":         {checked(frame(0x21, 0x11, client4, tlv(0x02, []byte("x")), tlv(0x03, make([]byte, 4)))), "203.0.113.9:12345"},
		"local":                 {frame(0x20, 0x00), ""},
		"local_with_address":    {frame(0x20, 0x11, client4), ""},
		"local_with_extensions": {frame(0x20, 0x00, tlv(0x04, make([]byte, 100))), ""},
		"loopback_of_loopback":  {frame(0x21, 0x11, local4), "127.0.0.9:12345"},
	} {
		t.Run(name, func(t *testing.T) {
			l := open(t, "127.0.0.0/8", io.Discard)
			d := dial(t, l)
			d.Write(append(c.header, "behind the header"...))
			got := accept(t, l)
			if got == nil {
				t.Fatal("not accepted")
			}
			want := c.want
			if want == "" {
				want = d.LocalAddr().String()
			}
			if got.RemoteAddr().String() != want {
				t.Errorf("client %s, want %s", got.RemoteAddr(), want)
			}
			// An event loop takes the descriptor: what is behind the header must be in the socket.
			raw, err := got.(syscall.Conn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			var b [64]byte
			n := 0
			raw.Read(func(fd uintptr) bool { n, err = syscall.Read(int(fd), b[:]); return err != syscall.EAGAIN })
			if string(b[:max(n, 0)]) != "behind the header" {
				t.Errorf("behind the header %q, %v", b[:max(n, 0)], err)
			}
		})
	}
}

func TestHeadersThatAreRefused(t *testing.T) {
	whole := frame(0x21, 0x11, client4)
	wrong := checked(frame(0x21, 0x11, client4, tlv(0x03, make([]byte, 4))))
	wrong[20]++
	for name, b := range map[string][]byte{
		"none":                     []byte("\x00\x00\x00\x08\x04\xd2\x16\x2f"),
		"version_1":                []byte("PROXY TCP4 203.0.113.9 10.0.0.1 12345 6543\r\n"),
		"one_wrong_byte":           append([]byte("\r\n\r\n\x00\r\nQUIT\r"), whole[12:]...),
		"version_3":                frame(0x31, 0x11, client4),
		"unknown_command":          frame(0x22, 0x11, client4),
		"unix":                     frame(0x21, 0x31, make([]byte, 216)),
		"datagrams":                frame(0x21, 0x12, client4),
		"unspecified_family":       frame(0x21, 0x00),
		"unknown_family":           frame(0x21, 0x41, client4),
		"unknown_transport":        frame(0x21, 0x13, client4),
		"address_cut_off":          frame(0x21, 0x11, client4[:11]),
		"ipv6_of_ipv4's_length":    frame(0x21, 0x21, client4),
		"address_0.0.0.0":          frame(0x21, 0x11, make([]byte, 12)),
		"multicast":                frame(0x21, 0x11, append([]byte{224, 0, 0, 1}, client4[4:]...)),
		"extensions_of_64_KiB":     frame(0x21, 0x11, client4, tlv(0x04, make([]byte, 65000))),
		"extension_without_end":    frame(0x21, 0x11, client4, []byte{4, 255, 255, 0}),
		"wrong_checksum":           wrong,
		"checksum_of_two_bytes":    frame(0x21, 0x11, client4, tlv(0x03, []byte{1, 2})),
		"local_of_64_KiB":          frame(0x20, 0x00, make([]byte, 65535)),
		"cut_off_in_the_signature": whole[:7],
		"cut_off_in_the_addresses": whole[:20],
		"silent":                   nil,
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			l := open(t, "127.0.0.0/8", &log)
			d := dial(t, l)
			d.Write(b)
			if n, err := d.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("read %d, %v: the connection was to be closed", n, err)
			}
			l.Close()
			if !strings.Contains(log.String(), "balancer refused") {
				t.Errorf("the log says %q", log.String())
			}
		})
	}
}

func TestLoopbackIsNotForOthersToSay(t *testing.T) {
	l := &Listener{patience: time.Second}
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() {
		theirs.Write(frame(0x21, 0x11, []byte{127, 0, 0, 1, 10, 0, 0, 1, 1, 1, 2, 2}))
		theirs.Close()
	}()
	if _, err := l.header(ours); !errors.Is(err, errLoopback) { // a pipe is no machine's loopback
		t.Errorf("got %v", err)
	}
}

// Who is not a balancer is taken at its socket's address, and its header is the door's to refuse.
func TestOthersHaveNoHeader(t *testing.T) {
	l := open(t, "10.0.0.0/8", io.Discard)
	d := dial(t, l)
	header := frame(0x21, 0x11, client4)
	d.Write(header)
	got := accept(t, l)
	if got == nil || got.RemoteAddr().String() != d.LocalAddr().String() {
		t.Fatalf("got %v", got)
	}
	b := make([]byte, len(header))
	if _, err := io.ReadFull(got, b); err != nil || !bytes.Equal(b, header) {
		t.Errorf("the door reads %q, %v", b, err)
	}
}

func TestASecondHeaderIsTheDoorsToRefuse(t *testing.T) {
	l := open(t, "127.0.0.0/8", io.Discard)
	d := dial(t, l)
	header := frame(0x21, 0x11, client4)
	second := frame(0x21, 0x11, append([]byte{198, 51, 100, 1}, client4[4:]...))
	d.Write(append(header, second...))
	got := accept(t, l)
	if got == nil || got.RemoteAddr().String() != "203.0.113.9:12345" {
		t.Fatalf("got %v", got)
	}
	b := make([]byte, len(second))
	if _, err := io.ReadFull(got, b); err != nil || !bytes.Equal(b, second) {
		t.Errorf("the door reads %q, %v", b, err)
	}
}

func TestSilentBalancersHoldUpNobody(t *testing.T) {
	l := openFor(t, "127.0.0.0/8", io.Discard, time.Minute)
	for range 50 {
		dial(t, l)
		dial(t, l).Write(frame(0x21, 0x11, client4)[:13])
	}
	d := dial(t, l)
	header := frame(0x21, 0x11, client4)
	for i := range header { // in as many packets as it has bytes
		d.Write(header[i : i+1])
	}
	if got := acceptWithin(t, l, 30*time.Second); got == nil || got.RemoteAddr().String() != "203.0.113.9:12345" { // long before any of them is given up
		t.Errorf("got %v", got)
	}
}

func TestPendingHeadersAreBounded(t *testing.T) {
	l := &Listener{pending: map[net.Conn]struct{}{}}
	for range mostPending {
		if c, _ := net.Pipe(); !l.begin(c) {
			t.Fatal("refused too early")
		}
	}
	c, _ := net.Pipe()
	if l.begin(c) {
		t.Error("no bound")
	}
}

func TestCloseEndsAllOfIt(t *testing.T) {
	l := open(t, "127.0.0.0/8", io.Discard)
	d := dial(t, l)
	d.Write([]byte("\r\n"))
	done := make(chan error, 1)
	go func() { _, err := l.Accept(); done <- err }()
	time.Sleep(20 * time.Millisecond)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a second Close: %v", err)
	}
	if _, err := d.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the pending connection: %v", err)
	}
}

// Whatever comes, a header is cut at its end, and gives an address of TCP or none.
func FuzzProxyHeader(f *testing.F) {
	f.Add(frame(0x21, 0x11, client4))
	f.Add(frame(0x21, 0x21, client6, tlv(0x02, []byte("x"))))
	f.Add(checked(frame(0x21, 0x11, client4, tlv(0x03, make([]byte, 4)))))
	f.Add(frame(0x20, 0x00))
	f.Add(frame(0x20, 0x11, []byte{1}))
	f.Add(frame(0x21, 0x31, make([]byte, 216)))
	f.Add([]byte("PROXY TCP4 203.0.113.9 10.0.0.1 12345 6543\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		head, err := readFrame(r)
		if err != nil {
			return
		}
		if len(head) != fixed+int(binary.BigEndian.Uint16(b[14:])) || len(b)-r.Len() != len(head) || len(head) > fixed+maxRest {
			t.Fatalf("a header of %d bytes of %d, %d unread", len(head), len(b), r.Len())
		}
		client, named, err := decode(head)
		if named && err != nil || named != client.IsValid() {
			t.Fatalf("%v, %v, %v", client, named, err)
		}
		if named && (head[12] != 0x21 || client.Addr().IsUnspecified() || client.Addr().Is4In6()) {
			t.Fatalf("% x gives %v", head[:fixed], client)
		}
	})
}
