package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/config"
)

// HTTP doors see the balancer's clients, and take no header from anybody else, nor a second one.
func TestHTTPBehindABalancer(t *testing.T) {
	header := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x09\x7f\x00\x00\x01\x30\x39\x19\x8f"
	const request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	for name, tc := range map[string]struct{ from, send, want string }{
		"header":               {"127.0.0.1", header + request, "HTTP/1.1 200 OK client 203.0.113.9:12345"},
		"two_headers":          {"127.0.0.1", header + header + request, "HTTP/1.1 400 Bad Request"},
		"no_header":            {"127.0.0.1", request, ""},
		"version_1":            {"127.0.0.1", "PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n" + request, ""},
		"forged_from_outside":  {"10.0.0.0/8", header + request, "HTTP/1.1 400 Bad Request"},
		"forged_version_1":     {"10.0.0.0/8", "PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n" + request, "HTTP/1.1 400 Bad Request"},
		"outside_and_honest":   {"10.0.0.0/8", request, "HTTP/1.1 200 OK client 127.0.0.1:"},
		"header_and_then_none": {"127.0.0.1", header, ""},
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ln := behind(raw, &config.ProxyProtocol{From: []string{tc.from}}, "mcp", slog.New(slog.DiscardHandler))
			srv := &http.Server{ReadHeaderTimeout: 3 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0),
				Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "client ", r.RemoteAddr) })}
			limitConnections(srv, 10, slog.New(slog.DiscardHandler))
			done := make(chan error, 1)
			go func() { done <- srv.Serve(ln) }()
			defer func() { srv.Close(); <-done }()
			c, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(30 * time.Second))
			io.WriteString(c, tc.send)
			got := ""
			if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil {
				body, _ := io.ReadAll(resp.Body)
				got = resp.Proto + " " + resp.Status
				if resp.StatusCode == http.StatusOK {
					got += " " + string(body)
				}
			}
			if !strings.HasPrefix(got, tc.want) || tc.want == "" && got != "" {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestCheckTellsOfCertificates(t *testing.T) {
	dir := t.TempDir()
	cfg := &config.Config{DataDir: dir, File: config.File{Listen: config.Listen{PGWire: &config.PGWire{TLS: &config.TLS{Cert: filepath.Join(dir, "a"), Key: filepath.Join(dir, "b")}},
		Web: &config.Web{TLS: &config.TLS{Own: true}}}}}
	var out bytes.Buffer
	if n := checkTLS(&out, cfg); n != 1 || !strings.Contains(out.String(), "! listen.pgwire.tls: the certificate of the pgwire door cannot be used") {
		t.Errorf("%d problems:\n%s", n, &out)
	}
	if _, err := os.Stat(tlsDir(cfg)); err == nil {
		t.Error("check made an authority")
	}
	os.Mkdir(tlsDir(cfg), 0o700)
	os.WriteFile(filepath.Join(tlsDir(cfg), "authority.key"), []byte("x"), 0o600)
	out.Reset()
	if n := checkTLS(&out, cfg); n != 2 || !strings.Contains(out.String(), "! listen.web.tls: authority.key holds no PRIVATE KEY") {
		t.Errorf("%d problems:\n%s", n, &out)
	}
}
