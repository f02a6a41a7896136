package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"

	"sallyport/audit/index"
	"sallyport/internal/config"
)

// startIndex keeps the index of the record up to date in the background, until stop is called.
func startIndex(cfg *config.Config, log *slog.Logger) (stop func()) {
	if !cfg.File.Audit.Indexed() {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	x := index.New(filepath.Join(cfg.DataDir, "log"), indexDir(cfg.DataDir), log.With("index", indexDir(cfg.DataDir)))
	go func() {
		defer close(ended)
		x.Run(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// forget takes what was erased out of the index of the log in dir, where there is one.
func forget(ctx context.Context, dir string) error {
	at := indexDir(filepath.Dir(dir))
	if _, err := os.Stat(at); err != nil {
		return nil // no index, nothing in it
	}
	_, err := index.New(dir, at, nil).Update(ctx, nil)
	return err
}
