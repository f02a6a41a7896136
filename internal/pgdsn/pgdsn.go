// Package pgdsn judges connection strings of PostgreSQL: what is left out of the checks of another machine. The configuration asks before
// anything is opened, the core before a session is. It reads the files that a DSN names (certificates, keys, passwords, services), and connects to nothing.
package pgdsn

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/internal/access"
)

var keywordMode = regexp.MustCompile(`(?i)(^|\s)sslmode\s*=`)

// Secured is a DSN that checks the certificates of other machines, unless it says by sslmode what else it wants: the library's own default
// takes what comes, and goes on without TLS where there is none.
func Secured(dsn string) string {
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
		ip, err := netip.ParseAddr(host)
		local := strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || host == "localhost" || err == nil && ip.Unmap().IsLoopback()
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

// Weak says what a DSN leaves out of the checks of another machine: "" where it leaves out nothing, names none, or is no DSN.
func Weak(dsn string) string {
	cfg, err := pgconn.ParseConfig(Secured(dsn))
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

// Check refuses what is no DSN, and one that leaves out checks, unless that was agreed to. Errors are *access.Error of kind Unavailable; they
// never hold the DSN.
func Check(dsn string, agreed bool) error {
	if _, err := pgconn.ParseConfig(Secured(dsn)); err != nil {
		return Malformed(err)
	}
	weak := Weak(dsn)
	if weak == "" || agreed {
		return nil
	}
	hint := "use sslmode=verify-full, or leave sslmode out (sslrootcert names the authorities to trust, where the system does not know the database's)"
	if os.Getenv("PGSSLMODE") != "" {
		hint += "; PGSSLMODE in the environment counts too"
	}
	return &access.Error{Kind: access.Unavailable, Code: "08001", Message: "the DSN's database is on another machine, and " + weak,
		Hint: hint + "; `insecure: true` at the connection takes it as it is"}
}

// certificateFault is how the library's errors about files begin that could be read and are of no use. None of them quotes the DSN.
var certificateFault = regexp.MustCompile(`unable to load cert(: tls: private key (type )?does not match public key( type)?)?|failed to decode sslkey|unable to add CA to cert pool|both "sslcert" and "sslkey" are required|unable to find sslpassword|unable to decrypt key`)

// Malformed is the error of a DSN that the library cannot parse, without the library's own words where they may quote the DSN: what is
// malformed cannot be redacted for sure.
func Malformed(err error) error {
	e := &access.Error{Kind: access.Unavailable, Code: "08001"}
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		e.Message = fmt.Sprintf("the DSN names a file that cannot be read: %s: %v", pe.Path, pe.Err)
		e.Hint = "give the gateway's user access to it, or leave it out of the DSN"
	} else if fault := certificateFault.FindString(err.Error()); fault != "" {
		e.Message = "the certificates that the DSN names are of no use: " + fault
		e.Hint = "sslcert and sslkey go together, both PEM and of one pair; sslrootcert has the certificates of the authorities to trust"
	} else {
		e.Message = "the DSN cannot be parsed"
		e.Hint = "write it as postgres://user:password@host:5432/database, with % escapes in the password, or as host=... user=... dbname=..."
	}
	return e
}
