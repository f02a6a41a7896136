// Command conformance runs the protocol's own conformance suite (npm @modelcontextprotocol/conformance)
// against the HTTP front of the agents' door, in both protocol eras, and prints the results scenario by
// scenario as JSON in the form of evals/results.json.
//
// The suite asks for tools, prompts and resources by name. They live here, in a program of their own that
// the gateway's binary does not hold: behind the same front (internal/front) and the same library as the
// door's own tools. The suite cannot log in, so a token is added to its requests here.
//
// What the suite has about authorization is listed with whom it is for, and the server's side of it tried by the OAuth client of the
// TypeScript SDK (auth.go).
//
// It needs npm; the suite and the Node.js 22 that it runs on are installed into -dir. Start it with
//
//	go run ./mcp/conformance
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"sallyport/internal/access"
	"sallyport/mcp/internal/front"
)

func main() {
	var (
		dir     = flag.String("dir", filepath.Join(os.TempDir(), "sallyport-conformance"), "where the suite is installed")
		out     = flag.String("out", "", "write the results to this file too")
		serve   = flag.String("serve", "", "only serve the fixture on this address")
		streams = flag.Bool("streams", true, "serve GET streams; the door does not, but the suite's sampling needs one")
	)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *dir, *out, *serve, *streams); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, out, serve string, streams bool) error {
	address := serve
	if address == "" {
		address = "127.0.0.1:0"
	}
	url, down, err := start(address, streams)
	if err != nil {
		return err
	}
	defer down()
	if serve != "" {
		fmt.Fprintln(os.Stderr, "serving", url)
		<-ctx.Done()
		return nil
	}
	suite, err := install(ctx, dir)
	if err != nil {
		return err
	}
	var all []entry
	for _, era := range []string{"2025-11-25", "2026-07-28"} {
		list, err := suite.run(ctx, url, era)
		if err != nil {
			return err
		}
		all = append(all, list...)
	}
	list, err := suite.auth(ctx)
	if err != nil {
		return err
	}
	all = append(all, list...)
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	fmt.Println(string(text))
	if out == "" {
		return nil
	}
	return os.WriteFile(out, append(text, '\n'), 0o644)
}

// start serves the fixture behind the door's front.
func start(address string, streams bool) (url string, down func(), err error) {
	const token = "conformance"
	f := front.New(fixture(), front.Options{
		Verify: func(_ context.Context, c access.Credentials, _ string) (access.Principal, error) {
			if c != access.Bearer(token) {
				return access.Principal{}, &access.Error{Kind: access.Denied, Code: "28000", Message: "unknown token"}
			}
			return access.Principal{Name: "suite", Kind: access.Agent}, nil
		},
		Log:             slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		LoopbackOrigins: true,
		MaxBody:         1 << 20, MaxSessions: 256, SessionIdle: time.Hour,
		ReadTimeout: 15 * time.Second, WriteTimeout: time.Minute,
		Streams: streams,
	})
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", nil, err
	}
	srv := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+token)
			f.ServeHTTP(w, r)
		}),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(listener) }()
	return "http://" + listener.Addr().String() + front.Path, func() {
		f.Close()
		_ = srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, "conformance:", err)
		}
	}, nil
}
