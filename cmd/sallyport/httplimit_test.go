package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"sallyport/internal/balancer"
)

func TestConnectionsOfTheAgentsDoorAreLimited(t *testing.T) {
	const most = 20
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "here") })}
	limitConnections(srv, most, slog.New(slog.DiscardHandler))
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() { srv.Close(); <-served })

	ask := func(c net.Conn) bool {
		c.SetDeadline(time.Now().Add(30 * time.Second))
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n")
		_, err := io.ReadFull(c, make([]byte, 12))
		return err == nil
	}
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	var held []net.Conn
	for i := range most {
		c := dial()
		if i%2 == 0 && !ask(c) { // half of them silent
			t.Fatalf("connection %d was refused", i)
		}
		held = append(held, c)
	}
	for range 200 {
		if ask(dial()) {
			t.Fatal("one connection too many was served")
		}
	}
	held[1].Close()
	for end := time.Now().Add(30 * time.Second); !ask(dial()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no room after one has left")
		}
	}
}

// Whoever holds all connections, silent, idle or with requests under way, keeps nobody else out: behind a balancer too, whose word counts.
func TestOneAddressDoesNotHoldTheDoor(t *testing.T) {
	const most = 20
	for _, kind := range []string{"silent", "idle", "busy"} {
		t.Run(kind, func(t *testing.T) {
			raw, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ln := balancer.Listen(raw, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, slog.New(slog.DiscardHandler))
			var under sync.WaitGroup
			srv := &http.Server{ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/long" {
					under.Done()
					<-r.Context().Done()
				}
				fmt.Fprint(w, "here")
			})}
			limitConnections(srv, most, slog.New(slog.DiscardHandler))
			served := make(chan error, 1)
			go func() { served <- srv.Serve(ln) }()
			t.Cleanup(func() { srv.Close(); <-served })
			dial := func(from byte) net.Conn {
				t.Helper()
				c, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				c.SetDeadline(time.Now().Add(30 * time.Second))
				c.Write(append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"), 203, 0, 113, from, 127, 0, 0, 1, 0x30, 0x39, 0x19, 0x8f))
				return c
			}
			ask := func(c net.Conn) bool {
				fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				b := make([]byte, 12)
				_, err := io.ReadFull(c, b)
				return err == nil && string(b) == "HTTP/1.1 200"
			}
			for range most {
				c := dial(1)
				switch kind {
				case "idle":
					if !ask(c) {
						t.Fatal("there was room")
					}
				case "busy":
					under.Add(1)
					fmt.Fprint(c, "GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
				}
			}
			under.Wait()
			for end := time.Now().Add(30 * time.Second); kind == "silent" && ask(dial(1)); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("the door is not full")
				}
			}
			for from := byte(2); from < 8; from++ {
				if !ask(dial(from)) {
					t.Fatalf("203.0.113.%d is kept out", from)
				}
			}
		})
	}
}
