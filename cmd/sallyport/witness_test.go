package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit/checkpoint"
	"sallyport/audit/witness"
)

// A log's keys and a witness made by the commands: it cosigns, and after a restart it still knows what it has seen.
func TestWitness(t *testing.T) {
	dir, keys := t.TempDir(), t.TempDir()
	logKey, err := checkpoint.CreateKey(keys, "gate.example/log")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := checkpoint.LoadSigner(keys)
	if err != nil {
		t.Fatal(err)
	}
	logs := filepath.Join(t.TempDir(), "logs.txt")
	if err := os.WriteFile(logs, []byte("# ours\n"+logKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	if code := run([]string{"witness", "key", "witness.example", "--dir", dir}, nil, &out, &errs); code != exitOK {
		t.Fatalf("%d: %s", code, errs.String())
	}
	public := strings.TrimSpace(out.String())
	if code := run([]string{"witness", "key", "witness.example", "--dir", dir}, nil, io.Discard, &errs); code != exitFailed || !strings.Contains(errs.String(), "has a key already") {
		t.Errorf("a second key: %d: %s", code, errs.String())
	}

	// start serves until stop is called.
	start := func() (client *witness.Client, stop func()) {
		o := &witnessOptions{dir: dir, logs: logs, address: "127.0.0.1:0"}
		log := slog.New(slog.DiscardHandler)
		srv, w, err := o.open(log)
		if err != nil {
			t.Fatal(err)
		}
		ln, err := net.Listen("tcp", o.address)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- serveWitness(ctx, srv, ln, log) }()
		h := &http.Client{Transport: &http.Transport{}}
		if client, err = witness.NewClient("http://"+ln.Addr().String(), public, h); err != nil {
			t.Fatal(err)
		}
		return client, func() {
			h.CloseIdleConnections()
			cancel()
			if err := errors.Join(<-done, w.Close()); err != nil {
				t.Error(err)
			}
		}
	}
	tree := func(n int64) tlog.Tree { return tlog.Tree{N: n, Hash: tlog.RecordHash([]byte{byte(n)})} }
	signed := func(n int64) []byte {
		msg, err := checkpoint.Sign(checkpoint.Checkpoint{Origin: "gate.example/log", Tree: tree(n)}, signer)
		if err != nil {
			t.Fatal(err)
		}
		return msg
	}
	client, stop := start()
	if _, err := client.Add(t.Context(), signed(70), tree(70), 0, nil); err != nil {
		t.Error(err)
	}
	stop()
	client, stop = start()
	defer stop()
	if _, err := client.Size(t.Context(), signed(60), tree(60)); !errors.Is(err, witness.ErrDiverged) {
		t.Errorf("a smaller tree after a restart: %v", err)
	}
	if n, err := client.Size(t.Context(), signed(80), tree(80)); n != 70 || err != nil {
		t.Errorf("size %d, %v", n, err)
	}
}

func TestWitnessUsage(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.txt")
	if err := os.WriteFile(garbage, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no_directory":      {[]string{"--logs", garbage}, exitUsage, "--dir is missing"},
		"no_logs":           {[]string{"--dir", dir}, exitUsage, "--logs is missing"},
		"public_no_tls":     {[]string{"--dir", dir, "--logs", garbage, "--listen", ":7643"}, exitUsage, "without TLS"},
		"half_tls":          {[]string{"--dir", dir, "--logs", garbage, "--tls-cert", "c"}, exitUsage, "go together"},
		"bad_list_of_logs":  {[]string{"--dir", dir, "--logs", garbage}, exitFailed, "garbage.txt: line 1"},
		"no_key":            {[]string{"--dir", dir, "--logs", os.DevNull}, exitFailed, "witness key NAME"},
		"key_without_place": {[]string{"key", "w.example"}, exitUsage, "--dir is missing"},
		"key_of_two_words":  {[]string{"key", "two words", "--dir", dir}, exitFailed, "cannot name a key"},
	} {
		t.Run(name, func(t *testing.T) {
			var errs strings.Builder
			if code := run(append([]string{"witness"}, c.args...), nil, io.Discard, &errs); code != c.code || !strings.Contains(errs.String(), c.says) {
				t.Errorf("%d: %s", code, errs.String())
			}
		})
	}
}
