package testdb

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// watchScript waits for its standard input to close, which happens when Stop closes it or when our
// process ends in whatever way. Then it stops the server at once and deletes the folder.
const watchScript = `
trap '' INT TERM HUP
read -r _
kill -QUIT "$1" 2>/dev/null
n=0
while kill -0 "$1" 2>/dev/null && [ $n -lt 240 ]; do
	n=$((n+1))
	[ $n -eq 200 ] && kill -KILL "$1" 2>/dev/null
	sleep 0.05
done
rm -rf "$2"`

// watch starts the watchdog. Only we hold the write end of its pipe (Go marks it close-on-exec, so
// no other child of ours keeps it open).
func (s *Server) watch() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd := s.command("/bin/sh", "-c", watchScript, "watchdog", strconv.Itoa(s.cmd.Process.Pid), s.Dir)
	cmd.Stdin = r
	if err := cmd.Start(); err != nil {
		w.Close()
		return err
	}
	s.lifeline, s.watchdog = w, cmd
	return nil
}

// command prepares a program of the server's to run as the server's user, in a session of its own
// (Ctrl-C at a terminal is for us to act on) and without our PG* variables. Standard output and
// error stay closed unless set: a test binary's must not be held open.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	if !filepath.IsAbs(name) {
		name = filepath.Join(s.BinDir, name)
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = s.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: s.owner}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PG") && !strings.HasPrefix(v, "LC_") && !strings.HasPrefix(v, "LANG") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "LC_ALL=C", "HOME="+s.Dir)
	return cmd
}

// serverUser is whom the server runs as: nil for ourselves, or an unprivileged user when we are root.
func serverUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, fmt.Errorf("PostgreSQL refuses to run as root and there is neither a user postgres nor nobody: run as an ordinary user")
}

// maxSocketPath is what sun_path holds on the meanest system we run on (macOS: 104).
const maxSocketPath = 103

// makeDir makes the server's folder. It falls back to /tmp where the system's temporary folder has a
// path too long for a Unix socket, or is closed to the server's user.
func makeDir(parent string, owner *syscall.Credential) (string, error) {
	if parent == "" && (len(os.TempDir())+len("/sallyport-pg-0123456789/.s.PGSQL.65535") > maxSocketPath || !open(os.TempDir(), owner)) {
		parent = "/tmp"
	}
	dir, err := os.MkdirTemp(parent, "sallyport-pg-")
	if err != nil {
		return "", err
	}
	if err := chown(dir, owner); err != nil {
		os.RemoveAll(dir)
		return "", err
	}
	return dir, nil
}

// open says whether the server's user may enter a folder, with all that is above it.
func open(dir string, owner *syscall.Credential) bool {
	if owner == nil {
		return true
	}
	for ; ; dir = filepath.Dir(dir) {
		st, err := os.Stat(dir)
		if err != nil || st.Mode().Perm()&0o001 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

func chown(path string, owner *syscall.Credential) error {
	if owner == nil {
		return nil
	}
	return os.Chown(path, int(owner.Uid), int(owner.Gid))
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// indent sets a program's output apart from the error line that it explains.
func indent(out string) string {
	out = strings.TrimSpace(out)
	if out == "" {
		return ""
	}
	return "\n  " + strings.ReplaceAll(out, "\n", "\n  ")
}

// excerpt gives the text at a character position, for a message about SQL of our own.
func excerpt(sql string, pos int) string {
	r := []rune(sql)
	if pos > len(r) {
		return ""
	}
	r = r[pos-1:]
	if len(r) > 60 {
		r = r[:60]
	}
	return string(r)
}
