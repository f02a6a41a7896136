package main

import (
	"log/slog"
	"net"
	"net/http"
	"sync"
)

// httpConnections is how many connections an HTTP server, such as the agents' door, holds at once. Without a bound, whoever can reach
// it, with a token or without, could use up the process's descriptors and shut the other door as well.
const httpConnections = 1000

// limitConnections makes srv close connections beyond most as they come.
func limitConnections(srv *http.Server, most int, log *slog.Logger) {
	var mu sync.Mutex
	open := map[net.Conn]struct{}{}
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		switch state {
		case http.StateNew:
			if len(open) >= most {
				log.Warn("client refused: too many connections", "client", c.RemoteAddr().String())
				c.Close()
				return
			}
			open[c] = struct{}{}
		case http.StateClosed, http.StateHijacked:
			delete(open, c)
		}
	}
}
