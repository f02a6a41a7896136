package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

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
