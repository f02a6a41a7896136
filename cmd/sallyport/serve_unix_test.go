//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/testdb"
)

// A reload that has begun needs the core: what ends the gateway waits for it. A SIGHUP from before the doors are open is not lost.
func TestServeWaitsForAReload(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "sallyport.yaml")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	hup := make(chan os.Signal, 1)
	hup <- syscall.SIGHUP
	file := filepath.Join(dir, "started.yaml")
	text := fmt.Sprintf("data_dir: data\nlisten: {pgwire: {address: \"127.0.0.1:0\"}}\nconnections: {shop: {driver: postgres, dsn: %q}}\npolicies: [policy.cedar]\n", testdb.Shared(t).NewDatabase(t, ""))
	g := openConfigured(t, file, text, `permit (principal, action == Action::"connect", resource);`)
	g.hup, g.path = hup, fifo
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- g.serve(ctx) }()
	w, err := os.OpenFile(fifo, os.O_WRONLY, 0) // returns when the reload reads
	if err != nil {
		t.Fatal(err)
	}
	stop()
	select {
	case err := <-ended:
		t.Errorf("it has ended while the configuration is read: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	w.Close()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
}
