package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/internal/access"
)

var keywordMode = regexp.MustCompile(`(?i)(^|\s)sslmode\s*=`)

// secured is a DSN that checks the certificates of other machines, unless it says by sslmode what else it wants: the library's own default
// takes what comes, and goes on without TLS where there is none.
func secured(dsn string) string {
	cfg, err := pgconn.ParseConfig(dsn)
	if err != nil || os.Getenv("PGSSLMODE") != "" || len(remote(cfg)) == 0 {
		return dsn
	}
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		before, query, _ := strings.Cut(dsn, "?")
		q, err := url.ParseQuery(query)
		if err != nil || q.Has("sslmode") {
			return dsn
		}
		if query != "" {
			query += "&"
		}
		return before + "?" + query + "sslmode=verify-full"
	}
	if keywordMode.MatchString(dsn) {
		return dsn
	}
	return dsn + " sslmode=verify-full"
}

// remote are the TLS settings of a DSN's hosts on other machines, nil for one without TLS.
func remote(cfg *pgconn.Config) (out []*tls.Config) {
	add := func(host string, conf *tls.Config) {
		ip := net.ParseIP(host)
		local := strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" || ip != nil && ip.IsLoopback()
		if !local {
			out = append(out, conf)
		}
	}
	add(cfg.Host, cfg.TLSConfig)
	for _, f := range cfg.Fallbacks {
		add(f.Host, f.TLSConfig)
	}
	return out
}

// Weak says what a DSN leaves out of the checks of another machine: "" where it leaves out nothing, or names none.
func Weak(dsn string) string {
	cfg, err := pgconn.ParseConfig(secured(dsn))
	if err != nil {
		return ""
	}
	weak, rank := "", 0
	worse := func(r int, text string) {
		if r > rank {
			weak, rank = text, r
		}
	}
	for _, conf := range remote(cfg) {
		switch {
		case conf == nil:
			worse(3, "what is sent to it, passwords too, need not be encrypted")
		case conf.InsecureSkipVerify && conf.VerifyPeerCertificate == nil && conf.VerifyConnection == nil:
			worse(2, "its certificate is not checked: whoever is in between can pass for it")
		case conf.InsecureSkipVerify:
			worse(1, "the name in its certificate is not checked: whoever has another certificate of the same authority can pass for it")
		}
	}
	return weak
}

// unverified is true of a TLS handshake that ended because of the server's certificate, or because it has none where one is needed.
func unverified(err error) bool {
	var verification *tls.CertificateVerificationError
	var name x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &verification) || errors.As(err, &name) || errors.As(err, &unknown) || errors.As(err, &invalid) ||
		err != nil && strings.Contains(err.Error(), "server refused TLS connection")
}

// RefusedLogin is true where the database did not take the name or the password of a DSN.
func RefusedLogin(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && (pe.Code == "28P01" || pe.Code == "28000")
}

// errWeak refuses a DSN that nobody has agreed to.
func errWeak(weak string) error {
	return &access.Error{Kind: access.Unavailable, Code: "08001", Message: "the DSN's database is on another machine, and " + weak,
		Hint: "use sslmode=verify-full, or leave sslmode out; `insecure: true` at the connection takes it as it is"}
}

// CheckSecure refuses a DSN that leaves out checks, unless that was agreed to.
func CheckSecure(dsn string, agreed bool) error {
	if weak := Weak(dsn); weak != "" && !agreed {
		return errWeak(weak)
	}
	return nil
}
