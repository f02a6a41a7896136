package main

import (
	"log/slog"
	"net"
	"net/http"
	"sync"

	"sallyport/internal/fairness"
)

// httpConnections is how many connections an HTTP server, such as the agents' door, holds at once. Without a bound, whoever can reach
// it, with a token or without, could use up the process's descriptors and shut the other door as well.
const httpConnections = 1000

// limitConnections makes srv close connections beyond most as they come, or, where their address has fewer than another, one of that address.
func limitConnections(srv *http.Server, most int, log *slog.Logger) {
	var mu sync.Mutex // guards room
	room := fairness.NewRoom[net.Conn](most)
	rank := func(c net.Conn, r fairness.Rank) {
		mu.Lock()
		defer mu.Unlock()
		room.Rank(c, r)
	}
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			mu.Lock()
			lost, taken, ok := room.Enter(c, fairness.Source(c.RemoteAddr().String()))
			mu.Unlock()
			if taken {
				log.Warn("connection closed: its address has the most, and others want in", "client", lost.RemoteAddr().String())
				shut(lost)
			}
			if !ok {
				log.Warn("client refused: too many connections", "client", c.RemoteAddr().String())
				shut(c)
			}
		case http.StateActive:
			rank(c, fairness.Busy)
		case http.StateIdle:
			rank(c, fairness.Idle)
		case http.StateClosed, http.StateHijacked:
			mu.Lock()
			defer mu.Unlock()
			room.Leave(c)
		}
	}
}

// shut closes a connection without a last word of TLS, which would wait for who does not read.
func shut(c net.Conn) {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn()
	}
	c.Close()
}
