package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"sallyport/audit/export"
	"sallyport/internal/config"
)

// exportDrain is how long a gateway that stops waits for its exporters. What is not sent then is sent after the next
// start.
const exportDrain = 5 * time.Second

// openExports makes ready what the configuration exports to; nil when that is nothing.
func (o *outward) openExports(cfg *config.Config) (*export.Set, error) {
	if len(cfg.Exports) == 0 {
		return nil, nil
	}
	var configs []export.Config
	for _, e := range cfg.Exports {
		c, err := exportConfig(&e)
		if err != nil {
			return nil, fmt.Errorf("exporter %s: %w", e.Name, err)
		}
		configs = append(configs, c)
	}
	return export.Open(filepath.Join(o.dataDir, "log"), filepath.Join(o.dataDir, "export"), configs, export.Options{Log: o.log, Version: programVersion()})
}

// exportConfig puts an entry of the configuration in the words of the exporters.
func exportConfig(e *config.Export) (export.Config, error) {
	c := export.Config{Name: e.Name, From: export.Start(e.From), Format: export.Format(e.Format), Without: e.Without}
	tls, err := clientTLS(e.TLS)
	if err != nil {
		return c, err
	}
	timeout := time.Duration(e.Timeout)
	switch e.To {
	case "file":
		c.File = &export.File{Path: e.Path}
	case "webhook":
		secret, err := export.WebhookSecret(e.Secret)
		if err != nil {
			return c, err
		}
		c.Webhook = &export.Webhook{URL: e.URL, Secret: secret, TLS: tls, Timeout: timeout}
	case "syslog":
		c.Syslog = &export.Syslog{Address: e.Address, TLS: tls, Timeout: timeout, Enterprise: e.Enterprise}
	case "s3":
		c.Bucket = &export.Bucket{URL: e.URL, Prefix: e.Prefix, Region: e.Region, AccessKey: e.AccessKey, SecretKey: e.Secret, TLS: tls, Timeout: timeout,
			Lock: export.Lock(e.Lock), Retain: time.Duration(e.RetainDays) * 24 * time.Hour}
	case "otlp":
		c.OTLP = &export.OTLP{URL: e.URL, Token: e.Token, TLS: tls, Timeout: timeout,
			Logs: len(e.Signals) == 0 || slices.Contains(e.Signals, "logs"), Traces: len(e.Signals) == 0 || slices.Contains(e.Signals, "traces")}
	}
	return c, nil
}

// clientTLS is what the files of a client say; nil says the system's.
func clientTLS(files *config.ClientTLS) (*tls.Config, error) {
	if files == nil {
		files = &config.ClientTLS{}
	}
	return export.TLS(files.CA, files.Cert, files.Key)
}

// close ends the record, and then what vouches for it, exports it and tells people of it.
func (g *gate) close() error {
	if g.desk != nil {
		g.desk.Close()
	}
	err := g.core.Close()
	if g.vouch != nil {
		ctx, cancel := context.WithTimeout(context.Background(), vouchDrain)
		g.vouch.Close(ctx)
		cancel()
	}
	if g.unindex != nil {
		g.unindex()
	}
	ctx, cancel := context.WithTimeout(context.Background(), exportDrain)
	defer cancel()
	if g.out != nil {
		err = errors.Join(err, g.out.close(ctx))
	}
	return err
}
