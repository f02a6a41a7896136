package bench

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	floorRecord = 720      // bytes of the gateway's record of one of pgbench's statements
	floorRoom   = 64 << 20 // written before it is needed, as the gateway's segments are
)

// floor is a relay that does one thing beside copying bytes: before it lets an answer go, it writes a record of
// it and syncs, once for all answers that have come in meanwhile. It has no guard, no masks and one thread. A
// gateway that releases nothing before its record is durable does at least this, so what it takes is a
// property of the machine, of its disk above all.
//
// It is for pgbench: messages are small, nobody has to log in, and a client waits for its answer.
type floor struct {
	epoll    int
	listener net.Listener
	socket   int // of listener
	upstream string
	log      *os.File
	used     int64
	ends     map[int32]*floorEnd
	answered []*floorEnd // upstream ends whose answer is whole
}

// floorEnd is one end of a relayed connection.
type floorEnd struct {
	fd     int
	other  *floorEnd
	client bool
	held   []byte // of an upstream's answer
}

var readyForQuery = []byte{'Z', 0, 0, 0, 5}

// startFloor serves the server at port on a free port, until this process ends.
func startFloor(dir string, port int) (target, error) {
	f := &floor{upstream: fmt.Sprintf("127.0.0.1:%d", port), ends: map[int32]*floorEnd{}}
	var err error
	if f.log, err = os.Create(filepath.Join(dir, "floor.log")); err != nil {
		return target{}, err
	}
	if _, err := f.log.Write(make([]byte, floorRoom)); err != nil {
		return target{}, err
	}
	if err := f.log.Sync(); err != nil {
		return target{}, err
	}
	if f.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return target{}, err
	}
	if f.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return target{}, err
	}
	file, err := f.listener.(*net.TCPListener).File()
	if err != nil {
		return target{}, err
	}
	f.socket = int(file.Fd())
	if err := f.add(f.socket); err != nil {
		return target{}, err
	}
	go func() {
		defer file.Close()
		panic(f.serve())
	}()
	host, listen, _ := net.SplitHostPort(f.listener.Addr().String())
	return target{name: "floor", host: host, port: listen, user: "postgres", clientsOnly: true}, nil
}

func (f *floor) add(fd int) error {
	return unix.EpollCtl(f.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// serve relays, and returns what a benchmark cannot go on with.
func (f *floor) serve() error {
	var events [64]unix.EpollEvent
	for {
		n, err := unix.EpollWait(f.epoll, events[:], -1)
		if err != nil && err != unix.EINTR {
			return err
		}
		for i := range max(n, 0) {
			if fd := events[i].Fd; fd == int32(f.socket) {
				err = f.accept()
			} else if e := f.ends[fd]; e != nil {
				err = f.relay(e)
			}
			if err != nil {
				return err
			}
		}
		if err := f.release(); err != nil {
			return err
		}
	}
}

func (f *floor) accept() error {
	client, _, err := unix.Accept4(f.socket, unix.SOCK_CLOEXEC)
	if err != nil {
		return err
	}
	nc, err := net.Dial("tcp", f.upstream)
	if err != nil {
		return err
	}
	file, err := nc.(*net.TCPConn).File()
	nc.Close()
	if err != nil {
		return err
	}
	server, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	file.Close()
	if err != nil {
		return err
	}
	c, s := &floorEnd{fd: client, client: true}, &floorEnd{fd: server}
	c.other, s.other = s, c
	for _, e := range []*floorEnd{c, s} {
		f.ends[int32(e.fd)] = e
		if err := unix.SetsockoptInt(e.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return err
		}
		if err := f.add(e.fd); err != nil {
			return err
		}
	}
	return nil
}

// relay takes what e has to say: a client's words go on at once, an answer is held.
func (f *floor) relay(e *floorEnd) error {
	var buf [16 << 10]byte
	n, err := unix.Read(e.fd, buf[:])
	if n <= 0 || err != nil {
		for _, x := range []*floorEnd{e, e.other} {
			delete(f.ends, int32(x.fd))
			unix.Close(x.fd)
		}
		return nil
	}
	if e.client {
		_, err = unix.Write(e.other.fd, buf[:n])
		return err
	}
	e.held = append(e.held, buf[:n]...)
	if at := len(e.held) - 6; at >= 0 && bytes.HasPrefix(e.held[at:], readyForQuery) {
		f.answered = append(f.answered, e)
	}
	return nil
}

// release makes the answers' records durable and lets them go.
func (f *floor) release() error {
	if len(f.answered) == 0 {
		return nil
	}
	records := make([]byte, floorRecord*len(f.answered))
	if f.used+int64(len(records)) > floorRoom {
		f.used = 0
	}
	if _, err := f.log.WriteAt(records, f.used); err != nil {
		return err
	}
	if err := unix.Fdatasync(int(f.log.Fd())); err != nil {
		return err
	}
	f.used += int64(len(records))
	for _, e := range f.answered {
		if f.ends[int32(e.fd)] == e {
			unix.Write(e.other.fd, e.held) // a client that has gone shows in the next round
		}
		e.held = e.held[:0]
	}
	f.answered = f.answered[:0]
	return nil
}
