package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"sallyport/audit/witness"
	"sallyport/internal/config"
	"sallyport/internal/tlsconf"
)

type witnessOptions struct {
	*app
	dir, logs, address  string
	tls                 config.TLS
	insecure            bool
	logFormat, logLevel string
}

func newWitness(a *app) *cobra.Command {
	o := &witnessOptions{app: a}
	cmd := &cobra.Command{
		Use:   "witness",
		Short: "Cosign the checkpoints of other gateways' records, if they only grow",
		Long: `Witness keeps, for each log that it is told of, the largest tree that the log has shown, and cosigns a
checkpoint only if its tree continues that one (C2SP tlog-witness). A gateway whose record is witnessed cannot
take back what is in it without the witness. Run it where those who run the gateway have no access.

The file of logs has the public key of each (checkpoint.pub), one a line; a log whose key was replaced has
one more line for each key, and SIGHUP has the file read again. The directory holds the witness's key and what it has seen: keep both.`,
		Example: `  sallyport witness key witness.example --dir /var/lib/witness
  sallyport witness --dir /var/lib/witness --logs logs.txt --tls-cert w.crt --tls-key w.key --listen :7643`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	f := cmd.Flags()
	f.StringVar(&o.logs, "logs", "", "file with the public keys of the logs")
	f.StringVar(&o.address, "listen", "127.0.0.1:7643", "address")
	f.StringVar(&o.tls.Cert, "tls-cert", "", "certificate chain, PEM")
	f.StringVar(&o.tls.Key, "tls-key", "", "its key, PEM")
	f.BoolVar(&o.insecure, "insecure", false, "serve other machines without TLS, where a proxy terminates it")
	f.StringVar(&o.logFormat, "log-format", "text", "text or json")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	cmd.PersistentFlags().StringVar(&o.dir, "dir", "", "directory of the witness's key and state")
	cmd.AddCommand(newWitnessKey(o))
	return cmd
}

func newWitnessKey(o *witnessOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "key NAME",
		Short: "Make the witness's key, once, and print its public half, by which gateways know it",
		Args:  cobra.ExactArgs(1),
		RunE:  func(_ *cobra.Command, args []string) error { return o.createKey(args[0]) },
	}
}

func (o *witnessOptions) createKey(name string) error {
	if o.dir == "" {
		return usagef("--dir is missing: where are the witness's key and state to be?")
	}
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return err
	}
	public, err := witness.CreateKey(o.dir, name)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s has a key already, by which gateways know the witness", o.dir)
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(o.out, public)
	return nil
}

func (o *witnessOptions) run(ctx context.Context) error {
	log, err := newLogger(o.app, o.logFormat, o.logLevel)
	if err != nil {
		return err
	}
	srv, w, err := o.open(log)
	if err != nil {
		return err
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	go o.follow(ctx, hup, w, log)
	ln, err := net.Listen("tcp", o.address)
	if err != nil {
		return errors.Join(err, w.Close())
	}
	return errors.Join(serveWitness(ctx, srv, ln, log), w.Close())
}

// open makes the witness and a server for it, which do nothing yet.
func (o *witnessOptions) open(log *slog.Logger) (*http.Server, *witness.Witness, error) {
	switch {
	case o.dir == "":
		return nil, nil, usagef("--dir is missing: where are the witness's key and state?")
	case o.logs == "":
		return nil, nil, usagef("--logs is missing: whose checkpoints is it to cosign?")
	case (o.tls.Cert == "") != (o.tls.Key == ""):
		return nil, nil, usagef("--tls-cert and --tls-key go together")
	case o.tls.Cert == "" && !o.insecure && !config.Loopback(o.address):
		return nil, nil, usagef("the witness would serve other machines (%s) without TLS: give --tls-cert and --tls-key, listen on 127.0.0.1, or say --insecure where a proxy terminates TLS", o.address)
	}
	logs, err := readLogs(o.logs)
	if err != nil {
		return nil, nil, err
	}
	signer, public, err := witness.LoadKey(o.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("no key in %s: make one with `sallyport witness key NAME --dir %s`", o.dir, o.dir)
	}
	if err != nil {
		return nil, nil, err
	}
	srv := &http.Server{ReadTimeout: 10 * time.Second, WriteTimeout: 20 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	if o.tls.Cert != "" {
		certificate, err := tlsconf.Open(tlsconf.Options{Door: "witness", Cert: o.tls.Cert, Key: o.tls.Key, Log: log})
		if err != nil {
			return nil, nil, err
		}
		srv.TLSConfig = certificate.Config()
	}
	w, err := witness.New(o.dir, signer, logs, log)
	if err != nil {
		return nil, nil, err
	}
	srv.Handler = w
	limitConnections(srv, httpConnections, log.With("door", "witness"))
	log.Info("witness", "key", public, "logs", len(logs))
	return srv, w, nil
}

func readLogs(file string) ([]note.Verifier, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	logs, err := witness.ParseLogs(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return logs, nil
}

// follow reads the file of logs again on each SIGHUP: a log whose key was replaced has one more.
func (o *witnessOptions) follow(ctx context.Context, hup <-chan os.Signal, w *witness.Witness, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
		}
		logs, err := readLogs(o.logs)
		if err == nil {
			err = w.Follow(logs)
		}
		if err != nil {
			log.Error("the file of logs was not taken; the old keys hold", "error", err)
			continue
		}
		log.Info("the file of logs was read again", "keys", len(logs))
	}
}

// serveWitness serves until ctx ends, then waits for running requests.
func serveWitness(ctx context.Context, srv *http.Server, ln net.Listener, log *slog.Logger) error {
	if srv.TLSConfig != nil {
		ln = tls.NewListener(ln, srv.TLSConfig)
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	log.Info("listening", "address", ln.Addr().String(), "tls", srv.TLSConfig != nil)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), defaultDrain)
	defer cancel()
	err := srv.Shutdown(late)
	if err != nil {
		srv.Close()
	}
	<-failed
	log.Info("stopped")
	return err
}
