package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"sallyport/audit/cosignature"
	"sallyport/audit/export"
	"sallyport/audit/timestamp"
	"sallyport/audit/vouch"
	"sallyport/audit/witness"
	"sallyport/internal/config"
)

// vouchDrain is how long a gateway that stops waits for its witnesses to cosign the last checkpoint. What they have not
// seen then they see after the next start.
const vouchDrain = 3 * time.Second

// openVouch makes ready whom the configuration has vouch for the record; nil when that is nobody.
func openVouch(cfg *config.Config, log *slog.Logger) (*vouch.Voucher, error) {
	a := cfg.File.Audit
	if len(a.Witnesses) == 0 && a.Timestamping == nil {
		return nil, nil
	}
	opt := vouch.Options{Dir: filepath.Join(cfg.DataDir, "log"), Policy: witnessPolicy(cfg), Log: log}
	for _, w := range a.Witnesses {
		files := config.ClientTLS{}
		if w.TLS != nil {
			files = *w.TLS
		}
		conf, err := export.TLS(files.CA, files.Cert, files.Key)
		if err != nil {
			return nil, fmt.Errorf("witness %s: %w", w.Name, err)
		}
		c, err := witness.NewClient(w.URL, w.Key, client(conf))
		if err != nil {
			return nil, fmt.Errorf("witness %s: %w", w.Name, err)
		}
		opt.Witnesses = append(opt.Witnesses, c)
	}
	if t := a.Timestamping; t != nil {
		var err error
		var roots *x509.CertPool
		if opt.Roots, roots, err = stampRoots(t.CA); err != nil {
			return nil, err
		}
		opt.StampEvery = time.Duration(t.Every)
		for _, u := range t.URLs {
			opt.Authorities = append(opt.Authorities, &timestamp.Client{URL: u, Roots: roots, HTTP: client(nil)})
		}
	}
	return vouch.New(opt)
}

func client(conf *tls.Config) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = conf
	return &http.Client{Transport: t}
}

// witnessPolicy is what the configuration says of witnesses.
func witnessPolicy(cfg *config.Config) cosignature.Policy {
	p := cosignature.Policy{Quorum: cfg.File.Audit.Quorum}
	for _, w := range cfg.File.Audit.Witnesses {
		p.Witnesses = append(p.Witnesses, cosignature.PolicyWitness{Name: w.Name, Key: w.Key, URL: w.URL})
	}
	return p
}

// stampRoots reads the certificates that timestamps must lead to.
func stampRoots(file string) ([]byte, *x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, nil, fmt.Errorf("%s has no certificate", file)
	}
	return text, roots, nil
}

// outside is whom a command trusts to vouch for the record: the configuration's, unless --data names a record by itself.
// nil ones are for vouch.Read to find beside the record.
func (a *app) outside(data string) (*cosignature.Policy, *x509.CertPool, error) {
	if data != "" {
		return nil, nil, nil
	}
	cfg, err := config.LoadOffline(a.config)
	if err != nil {
		return nil, nil, err
	}
	var policy *cosignature.Policy
	var roots *x509.CertPool
	if len(cfg.File.Audit.Witnesses) > 0 {
		p := witnessPolicy(cfg)
		policy = &p
	}
	if t := cfg.File.Audit.Timestamping; t != nil {
		if _, roots, err = stampRoots(t.CA); err != nil {
			return nil, nil, err
		}
	}
	return policy, roots, nil
}
