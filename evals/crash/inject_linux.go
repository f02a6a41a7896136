package crash

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Shim is the argument under which the drill's program starts the gateway with its system calls watched.
const Shim = "-shim"

// A process under a seccomp filter with SECCOMP_RET_USER_NOTIF waits at each write at an offset, sync and rename, until
// the drill says that it goes on, or what it returns instead: seccomp_unotify(2). The gateway knows nothing of it.

// callNames are the calls that are watched. rename(2) is missing where the processor's table does not have it.
var callNames = func() map[int]string {
	m := map[int]string{unix.SYS_PWRITE64: "write", unix.SYS_FDATASYNC: "sync", unix.SYS_FSYNC: "sync", unix.SYS_RENAMEAT: "rename", unix.SYS_RENAMEAT2: "rename"}
	if runtime.GOARCH == "amd64" {
		m[82] = "rename"
	}
	return m
}()

// Exec makes this process the gateway of args, after it has given the drill, at descriptor 3, the end of its filter.
func Exec(args []string) error {
	runtime.LockOSThread() // the filter is this thread's, and goes with it through execve
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	prog := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // the call's number
	for nr := range callNames {
		prog = append(prog,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(nr), Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
	}
	prog = append(prog, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&fprog)))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	if err := unix.Sendmsg(3, []byte{0}, unix.UnixRights(int(fd)), nil, 0); err != nil {
		return fmt.Errorf("hand over the filter: %w", err)
	}
	unix.CloseOnExec(3)
	return syscall.Exec(args[0], args, os.Environ())
}

// injector decides on the calls of one process.
type injector struct {
	listener int
	fault    fault
	wg       sync.WaitGroup

	mu    sync.Mutex
	left  int // calls that fit and go on
	fired int
}

// inject changes a command so that it runs with a fault.
func inject(cmd *exec.Cmd, f fault, after int) (*injector, func() error, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "drill"), os.NewFile(uintptr(pair[1]), "shim")
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd.Args = append([]string{self, Shim, cmd.Path}, cmd.Args[1:]...)
	cmd.Path, cmd.ExtraFiles = self, []*os.File{theirs}
	in := &injector{fault: f, left: after}
	return in, func() error { // once it is started
		theirs.Close()
		defer ours.Close()
		conn, err := net.FileConn(ours)
		if err != nil {
			return err
		}
		defer conn.Close()
		var b [1]byte
		oob := make([]byte, unix.CmsgSpace(4))
		_, n, _, _, err := conn.(*net.UnixConn).ReadMsgUnix(b[:], oob)
		if err != nil {
			return fmt.Errorf("the filter was not handed over: %w", err)
		}
		msgs, err := unix.ParseSocketControlMessage(oob[:n])
		if err != nil || len(msgs) != 1 {
			return errors.New("the filter was not handed over")
		}
		fds, err := unix.ParseUnixRights(&msgs[0])
		if err != nil || len(fds) != 1 {
			return errors.New("the filter was not handed over")
		}
		in.listener = fds[0]
		in.wg.Go(in.serve)
		return nil
	}, nil
}

// Layouts and numbers of linux/seccomp.h.
type notification struct {
	id         uint64
	pid, flags uint32
	nr         int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

type response struct {
	id    uint64
	val   int64
	error int32
	flags uint32
}

const (
	notifRecv  = 0xc0502100
	notifSend  = 0xc0182101
	flagGoesOn = 1
)

// serve answers until the process has ended.
func (in *injector) serve() {
	defer unix.Close(in.listener)
	for {
		p := []unix.PollFd{{Fd: int32(in.listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(p, -1); err != nil && err != unix.EINTR {
			return
		}
		if p[0].Revents&unix.POLLIN == 0 {
			if p[0].Revents != 0 {
				return
			}
			continue
		}
		var n notification
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(in.listener), notifRecv, uintptr(unsafe.Pointer(&n))); errno != 0 {
			continue // it was killed meanwhile
		}
		r := response{id: n.id, flags: flagGoesOn}
		if in.fires(&n) {
			r.flags = 0
			in.instead(&n, &r)
		}
		_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(in.listener), notifSend, uintptr(unsafe.Pointer(&r)))
	}
}

// fires is whether a call is one to fail.
func (in *injector) fires(n *notification) bool {
	if callNames[int(n.nr)] != in.fault.call {
		return false
	}
	path := in.path(n)
	if ok, _ := filepath.Match(in.fault.file, filepath.Base(path)); !ok {
		return false
	}
	if in.fault.data && in.onlyZeros(n) {
		return false
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.left--; in.left >= 0 || in.fault.once && in.fired > 0 {
		return false
	}
	in.fired++
	return true
}

// path is the file that a call is about; of a rename the new name.
func (in *injector) path(n *notification) string {
	if in.fault.call == "rename" {
		at := n.args[3]
		if n.nr == 82 && runtime.GOARCH == "amd64" {
			at = n.args[1]
		}
		b := in.memory(n, at, 4096)
		text, _, _ := strings.Cut(string(b), "\x00")
		return text
	}
	path, _ := os.Readlink(in.fd(n))
	return path
}

func (in *injector) fd(n *notification) string {
	return "/proc/" + strconv.Itoa(int(n.pid)) + "/fd/" + strconv.Itoa(int(int32(n.args[0])))
}

// memory reads up to so many bytes of the process.
func (in *injector) memory(n *notification, at uint64, most int) []byte {
	f, err := os.Open("/proc/" + strconv.Itoa(int(n.pid)) + "/mem")
	if err != nil {
		return nil
	}
	defer f.Close()
	b := make([]byte, most)
	for len(b) > 0 { // the end may lie outside of what is mapped
		got, err := f.ReadAt(b, int64(at))
		if got > 0 || err == nil {
			return b[:got]
		}
		b = b[:len(b)/2]
	}
	return nil
}

func (in *injector) onlyZeros(n *notification) bool {
	return len(strings.Trim(string(in.memory(n, n.args[1], int(n.args[2]))), "\x00")) == 0
}

// instead says what a call returns that fails.
func (in *injector) instead(n *notification, r *response) {
	r.error = -int32(in.fault.errno)
	if in.fault.part == nowhere {
		return
	}
	half := in.memory(n, n.args[1], int(n.args[2])/2)
	f, err := os.OpenFile(in.fd(n), os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	got, _ := f.WriteAt(half, int64(n.args[3]))
	if in.fault.part == short {
		r.error, r.val = 0, int64(got)
	}
}

// arm has calls fail from now on.
func (in *injector) arm() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.left = 0
}

// count is how often a call has failed.
func (in *injector) count() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.fired
}
