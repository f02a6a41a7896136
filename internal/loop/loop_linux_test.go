package loop

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// pair gives the two ends of a TCP connection on loopback.
func pair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if client, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

func open(t *testing.T) *Loop {
	t.Helper()
	l, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// echo sends back what it reads until the peer closes, now and then as heavy work.
func echo(task *Task, c *Conn) error {
	b := make([]byte, 3000)
	for i := 0; ; i++ {
		n, err := c.Read(b)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if i%3 == 0 {
			task.Heavy()
		}
		if _, err := c.Write(b[:n]); err != nil {
			return err
		}
		task.Light()
	}
}

func TestTasksShareALoop(t *testing.T) {
	l := open(t)
	var all sync.WaitGroup
	for i := range 50 {
		client, server := pair(t)
		c := Wrap(server)
		all.Go(func() {
			l.Run(func(task *Task) {
				if err := c.Adopt(task); err != nil {
					t.Error(err)
					return
				}
				if err := echo(task, c); err != nil {
					t.Error(err)
				}
			})
			c.Close()
		})
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 1))
			for range 300 {
				out := bytes.Repeat([]byte{byte(rnd.Uint32())}, 1+rnd.IntN(20_000))
				go client.Write(out)
				in := make([]byte, len(out))
				client.SetReadDeadline(time.Now().Add(20 * time.Second))
				if _, err := io.ReadFull(client, in); err != nil || !bytes.Equal(in, out) {
					t.Errorf("echo of %d bytes: %v", len(out), err)
					return
				}
			}
			client.Close()
		})
	}
	all.Wait()
}

func TestBytesBeforeTheMoveAreRead(t *testing.T) {
	l := open(t)
	client, server := pair(t)
	client.Write([]byte("early"))
	time.Sleep(10 * time.Millisecond)
	c := Wrap(server)
	var got [5]byte
	l.Run(func(task *Task) {
		if err := c.Adopt(task); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, got[:]); err != nil {
			t.Error(err)
		}
	})
	if string(got[:]) != "early" {
		t.Errorf("got %q", got)
	}
}

func TestDeadlineWakesAReader(t *testing.T) {
	for name, d := range map[string]time.Duration{"past": -time.Second, "future": 50 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			l := open(t)
			_, server := pair(t)
			c := Wrap(server)
			l.Run(func(task *Task) {
				if err := c.Adopt(task); err != nil {
					t.Fatal(err)
				}
				time.AfterFunc(20*time.Millisecond, func() { c.SetReadDeadline(time.Now().Add(d)) })
				if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("Read: %v", err)
				}
				// The deadline taken back, reads wait again.
				c.SetReadDeadline(time.Time{})
				time.AfterFunc(20*time.Millisecond, func() { c.Close() })
				if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
					t.Errorf("Read after Close: %v", err)
				}
			})
		})
	}
}

func TestSignalIsNeverLost(t *testing.T) {
	l := open(t)
	var mu sync.Mutex
	n, asked := 0, make(chan *Task, 1)
	go func() {
		for task := range asked {
			mu.Lock()
			n++
			mu.Unlock()
			task.Signal()
		}
	}()
	l.Run(func(task *Task) {
		for i := range 20_000 {
			asked <- task
			if i%7 == 0 {
				task.Heavy()
			}
			task.Await(func() bool { mu.Lock(); defer mu.Unlock(); return n > i })
			task.Light()
		}
	})
	close(asked)
}

// A notification may be written by a goroutine of its own while the task waits to read.
func TestWritesWithoutATask(t *testing.T) {
	l := open(t)
	client, server := pair(t)
	c := Wrap(server)
	const size = 8 << 20 // more than the socket's buffers take
	go func() {
		time.Sleep(50 * time.Millisecond)
		io.CopyN(io.Discard, client, size)
		client.Write([]byte("done"))
	}()
	l.Run(func(task *Task) {
		if err := c.Adopt(task); err != nil {
			t.Fatal(err)
		}
		c.Own(task, nil)
		wrote := make(chan error, 1)
		go func() { _, err := c.Write(make([]byte, size)); wrote <- err }()
		var got [4]byte
		if _, err := io.ReadFull(c, got[:]); err != nil || string(got[:]) != "done" {
			t.Errorf("Read: %q, %v", got, err)
		}
		if err := <-wrote; err != nil {
			t.Error(err)
		}
	})
}

// A task that became light again beside its loop, and has not waited since, still has its loop settle: what it
// waits for may begin there only.
func TestSettledAfterAWaitBesideTheLoop(t *testing.T) {
	var asked, done atomic.Bool
	var task *Task
	l, err := New(func() {
		if asked.Load() && done.CompareAndSwap(false, true) {
			task.Signal()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	ended := make(chan struct{})
	go func() {
		l.Run(func(own *Task) {
			task = own
			own.Heavy()
			time.Sleep(50 * time.Millisecond) // the loop has settled and waits by now
			own.Light()
			asked.Store(true)
			own.Await(done.Load)
		})
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Fatal("nobody settled: the task waits for ever")
	}
}
