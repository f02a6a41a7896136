package gateway

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sallyport/internal/access"
)

// fill makes the disk under the open log full: what is written to its segment goes to /dev/full.
func (w *world) fill() {
	w.t.Helper()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	defer full.Close()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		w.t.Fatal(err)
	}
	found := 0
	for _, e := range fds {
		to, _ := os.Readlink(filepath.Join("/proc/self/fd", e.Name()))
		if fd, err := strconv.Atoi(e.Name()); err == nil && strings.HasPrefix(to, w.dir) && strings.HasSuffix(to, ".seg") {
			found++
			if err := unix.Dup2(int(full.Fd()), fd); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	if found == 0 {
		w.t.Fatal("no segment is open")
	}
}

func TestFullDisk(t *testing.T) {
	w := newWorld(t)
	dba, reader, idle := w.login("dba"), w.login("agent"), w.login("dba")
	defer idle.Close()
	wantNoError(t, w.query(reader, "select 1"))
	w.fill()

	for name, c := range map[string]struct {
		s   *Session
		sql string
	}{
		"write": {dba, "delete from orders"},
		"read":  {reader, "select id, name from customers"},
	} {
		a := &answer{}
		err := c.s.Do(context.Background(), []Op{{Kind: OpQuery, SQL: c.sql}}, a)
		if !errors.Is(err, ErrEnded) || len(a.rows)+len(a.tags) > 0 || len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "53100") {
			t.Errorf("%s: %v %+v", name, err, a)
		}
	}
	// Whoever comes next hears the same, and the process lives.
	_, err := w.gw.Connect(context.Background(), Login{Door: access.DoorPGWire, Connection: "shop", Credentials: access.Password{User: "dba", Secret: "pw-dba"}})
	if ae := access.AsError(err); ae.Code != "53100" || !strings.Contains(ae.Hint, "free space") {
		t.Errorf("Connect: %+v", ae)
	}
	_, err = w.gw.StartTask(context.Background(), access.DoorMCP, access.Password{User: "dba", Secret: "pw-dba"}, "goal", "")
	if ae := access.AsError(err); ae.Code != "53100" {
		t.Errorf("StartTask: %+v", ae)
	}
	// It says so once more at its end, in one line.
	if err := w.gw.Close(); access.AsError(err).Code != "53100" || strings.Contains(err.Error(), "\n") {
		t.Errorf("Close: %v", err)
	}

	// With room again nothing is missing, and nothing had run.
	w.open()
	again := w.login("dba")
	defer again.Close()
	if a := w.query(again, "select count(*) from orders"); len(a.rows) != 1 || a.rows[0][0] != "5000" {
		t.Errorf("the delete ran without a record: %v", a.rows)
	}
}
