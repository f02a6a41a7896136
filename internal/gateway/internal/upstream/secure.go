package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/internal/access"
)

// RefusedLogin is true where the database did not take the name or the password of a DSN.
func RefusedLogin(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && (pe.Code == "28P01" || pe.Code == "28000")
}

// dialError tells the client whether the database refused, could not be reached, or is not who it should be, and no more.
func dialError(err error) error {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return &access.Error{Kind: access.Upstream, Code: "08004", Message: "the database refused the gateway's log-in (" + pe.Code + ")",
			Hint: "the operator has to fix the connection: sallyport check", Err: err}
	}
	e := &access.Error{Kind: access.Unavailable, Code: "08001", Err: err}
	if e.Message, e.Hint = untrusted(err); e.Message == "" {
		e.Message, e.Hint = "the database cannot be reached", "try again later; the operator's log has the cause"
	}
	return e
}

// untrusted says what came of a TLS handshake that ended because of a certificate, or because there is no TLS where it is needed, and what
// whoever runs the gateway can do; "" is anything else.
func untrusted(err error) (message, hint string) {
	var verification *tls.CertificateVerificationError
	var name x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case err == nil:
		return "", ""
	case strings.Contains(err.Error(), "server refused TLS connection"):
		return "the database does not speak TLS", "turn `ssl` on in its postgresql.conf; the connection's DSN wants it for a machine that is not this one"
	case errors.As(err, &name):
		return "the database's certificate is for another name", "the host in the connection's DSN has to be a name in the certificate"
	case errors.As(err, &unknown):
		return "the database's certificate is of an authority that is not trusted", "sslrootcert in the connection's DSN names the file with the authorities to trust"
	case errors.As(err, &invalid):
		return "the database's certificate is not valid", "it has ended, has not begun, or is not for servers: the database needs another"
	case errors.As(err, &verification):
		return "the database's certificate could not be verified", "sslrootcert in the connection's DSN names the file with the authorities to trust"
	case refusedCertificate(err):
		return "the database does not take the gateway's client certificate", "sslcert in the connection's DSN has to be of an authority in the database's ssl_ca_file, and not have ended"
	}
	return "", ""
}

// refusedCertificate is true of an alert of the server's about our certificate (RFC 8446, section 6.2).
func refusedCertificate(err error) bool {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" || op.Err == nil {
		return false
	}
	text := op.Err.Error()
	return strings.HasPrefix(text, "tls: ") && strings.Contains(text, "certificate")
}
