package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
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
		c.SetDeadline(time.Now().Add(5 * time.Second))
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
	for end := time.Now().Add(5 * time.Second); !ask(dial()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no room after one has left")
		}
	}
}
