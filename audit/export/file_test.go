package export

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func fileConfig(path string) Config {
	return Config{Name: "disk", From: FromStart, File: &File{Path: path}}
}

func TestFileHasEachRecordOnce(t *testing.T) {
	for _, format := range []Format{JSON, OCSF} {
		t.Run(string(format), func(t *testing.T) {
			l := newLog(t)
			l.story()
			dir := t.TempDir()
			path := filepath.Join(dir, "audit.jsonl")
			c := fileConfig(path)
			c.Format = format
			r := start(t, l, dir, c)
			r.waitPosition(10)
			l.fill(100)
			r.finish()
			inOrder(t, positions(t, read(t, path)), 1, 110)
			l.fill(5)
			start(t, l, dir, c).finish()
			inOrder(t, positions(t, read(t, path)), 1, 115)
		})
	}
}

func TestFromNow(t *testing.T) {
	l := newLog(t)
	l.story()
	dir := t.TempDir()
	c := fileConfig(filepath.Join(dir, "f"))
	c.From = FromNow
	r := start(t, l, dir, c)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if cur, err := loadCursor(dir, "disk"); err != nil || time.Now().After(deadline) {
			t.Fatal("no cursor", err)
		} else if cur != nil {
			break
		}
	}
	l.fill(3)
	r.finish()
	inOrder(t, positions(t, read(t, filepath.Join(dir, "f"))), 11, 13)
}

// A kill between the write and the cursor: the file knows better.
func TestFileKnowsBetterThanTheCursor(t *testing.T) {
	for _, format := range []Format{JSON, OCSF} {
		t.Run(string(format), func(t *testing.T) {
			l := newLog(t)
			l.story()
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			c := fileConfig(path)
			c.Format = format
			start(t, l, dir, c).finish()
			old := read(t, cursorPath(dir, "disk"))
			l.fill(20)
			start(t, l, dir, c).finish()
			if err := os.WriteFile(cursorPath(dir, "disk"), old, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(f, `{"log":"half a li`)
			f.Close()
			l.fill(5)
			start(t, l, dir, c).finish()
			inOrder(t, positions(t, read(t, path)), 1, 35)
			if format == OCSF {
				checkChain(t, read(t, path))
			}
		})
	}
}

func TestFileThatLostLinesStopsTheExporter(t *testing.T) {
	l := newLog(t)
	l.story()
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	start(t, l, dir, fileConfig(path)).finish()
	text := read(t, path)
	if err := os.WriteFile(path, text[:bytes.LastIndexByte(text[:len(text)-1], '\n')+1], 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, l, dir, fileConfig(path))
	st := r.waitState(Stopped)
	r.finish()
	if !strings.Contains(st.Error, "the receiver ends with record 9, and record 10 was written") {
		t.Error(st.Error)
	}
}

func TestFileIsRotatedByRenaming(t *testing.T) {
	l := newLog(t)
	l.story()
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	r := start(t, l, dir, fileConfig(path))
	r.waitPosition(10)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.fill(5)
	r.waitPosition(15)
	r.finish()
	inOrder(t, positions(t, read(t, path+".1")), 1, 10)
	inOrder(t, positions(t, read(t, path)), 11, 15)
	// An empty file after a rotation is no loss.
	if err := os.Rename(path, path+".2"); err != nil {
		t.Fatal(err)
	}
	start(t, l, dir, fileConfig(path)).finish()
	l.fill(1)
	start(t, l, dir, fileConfig(path)).finish()
	inOrder(t, positions(t, read(t, path)), 16, 16)
}

// A disk that is full takes part of a batch. Nothing of it stays, and when there is room all of it is there once.
func TestFileOnAFullDisk(t *testing.T) {
	l := newLog(t)
	l.story()
	l.fill(400)
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childLog+"="+l.dir, childState+"="+dir, childFile+"="+path, childFull+"=10000")
	var said bytes.Buffer
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	var st []Status
	for deadline := time.Now().Add(30 * time.Second); len(st) == 0 || st[0].State != Retrying; time.Sleep(10 * time.Millisecond) {
		if st, err = ReadStatus(l.dir, dir); err != nil || time.Now().After(deadline) {
			t.Fatalf("%+v %v", st, err)
		}
	}
	if !strings.Contains(st[0].Error, "file too large") || st[0].Position != 0 || st[0].Lag != 410 {
		t.Errorf("%+v", st)
	}
	if n := len(read(t, path)); n != 0 {
		t.Errorf("%d bytes of a batch that failed stay in the file", n)
	}
	fmt.Fprint(in, "x") // there is room again
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err, said.String())
	}
	inOrder(t, positions(t, read(t, path)), 1, 410)
	if !strings.Contains(said.String(), "export does not get on") || !strings.Contains(said.String(), "export goes on") {
		t.Error(said.String())
	}
}

// What a child needs to know.
const (
	childLog   = "SALLYPORT_EXPORT_LOG"
	childState = "SALLYPORT_EXPORT_STATE"
	childFile  = "SALLYPORT_EXPORT_FILE"
	childURL   = "SALLYPORT_EXPORT_URL"
	childFull  = "SALLYPORT_EXPORT_FULL" // bytes that a file can have
)

// child exports until it is killed, or its standard input ends.
func child() {
	full, _ := strconv.ParseUint(os.Getenv(childFull), 10, 64)
	var was syscall.Rlimit
	if full > 0 {
		signal.Ignore(syscall.SIGXFSZ)
		err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was)
		if err == nil {
			err = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: full, Max: was.Max})
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	var configs []Config
	if path := os.Getenv(childFile); path != "" {
		c := fileConfig(path)
		c.Format = OCSF
		configs = append(configs, c)
	}
	if url := os.Getenv(childURL); url != "" {
		configs = append(configs, Config{Name: "hook", From: FromStart, Webhook: &Webhook{URL: url, Secret: testSecret}})
	}
	s, err := Open(os.Getenv(childLog), os.Getenv(childState), configs, Options{Version: "1.2.3", Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	s.Start()
	os.Stdin.Read(make([]byte, 1))
	if full > 0 {
		syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was)
	}
	s.Close(context.Background())
}

// A process that exports is killed again and again while the log grows.
func TestKilledExportersResume(t *testing.T) {
	rounds := 25
	if testing.Short() {
		rounds = 8
	}
	l := newLog(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	hook := newReceiver(t)
	begin := func() (*exec.Cmd, func()) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childLog+"="+l.dir, childState+"="+dir, childFile+"="+path, childURL+"="+hook.plain.URL)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, func() { in.Close() }
	}
	total := 0
	for range rounds {
		cmd, _ := begin()
		for end := time.Now().Add(time.Duration(20+rand.IntN(150)) * time.Millisecond); time.Now().Before(end); {
			n := 1 + rand.IntN(30)
			l.fill(n)
			total += n
			time.Sleep(time.Duration(rand.IntN(8)) * time.Millisecond)
		}
		cmd.Process.Kill()
		cmd.Wait()
	}
	cmd, end := begin()
	end()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	text := read(t, path)
	inOrder(t, positions(t, text), 1, uint64(total))
	checkChain(t, text)
	hook.complete(t, uint64(total))
	hook.mu.Lock()
	defer hook.mu.Unlock()
	t.Logf("%d kills, %d records, %d of them came twice over the wire and none to the file", rounds, total, hook.again)
}
