package pgdsn

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/access"
)

func TestOtherMachinesAreVerified(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	for _, c := range []struct{ dsn, want, weak string }{
		{"postgres://u:p@db.example/shop", "postgres://u:p@db.example/shop?sslmode=verify-full", ""},
		{"postgresql://u@db.example/shop?application_name=x", "postgresql://u@db.example/shop?application_name=x&sslmode=verify-full", ""},
		{"host=db.example user=u", "host=db.example user=u sslmode=verify-full", ""},
		{"postgres://u@127.0.0.1,db.example/shop", "postgres://u@127.0.0.1,db.example/shop?sslmode=verify-full", ""},
		{"postgres://u@127.0.0.1/shop", "", ""}, {"postgres://u@[::1]/shop", "", ""}, {"postgres://u@localhost/shop", "", ""}, {"host=/var/run/postgresql", "", ""},
		{"postgres://u@db.example/shop?sslmode=disable", "", "not be encrypted"},
		{"postgres://u@db.example/shop?sslmode=allow", "", "not be encrypted"},
		{"postgres://u@db.example/shop?sslmode=prefer", "", "not be encrypted"},
		{"host=db.example sslmode = require", "", "its certificate is not checked"},
		{"host=db.example sslmode=verify-ca", "", "the name in its certificate"},
		{"host=db.example sslmode=verify-full", "", ""},
		{"postgres://u@/shop?host=/tmp,10.0.0.7&sslmode=require", "", "its certificate is not checked"},
		{"host=db.example password='a sslmode=x' user=u", "", "not be encrypted"}, // not sure: refused
	} {
		if c.want == "" {
			c.want = c.dsn
		}
		if got := Secured(c.dsn); got != c.want {
			t.Errorf("%s becomes %s", c.dsn, got)
		}
		weak := Weak(c.dsn)
		if (weak == "") != (c.weak == "") || !strings.Contains(weak, c.weak) {
			t.Errorf("%s: %q", c.dsn, weak)
		}
		if err := Check(c.dsn, false); (err == nil) != (c.weak == "") || Check(c.dsn, true) != nil {
			t.Errorf("%s: %v", c.dsn, err)
		}
	}
	t.Setenv("PGSSLMODE", "prefer")
	if Weak("host=db.example") == "" || !strings.Contains(access.AsError(Check("host=db.example", false)).Hint, "PGSSLMODE") {
		t.Error("what the environment says is not seen, or not told")
	}
}

// What is wrong with a DSN is said without a word of it: it may hold a password, and what is malformed cannot be redacted for sure.
func TestFaultsAreToldWithoutTheDSN(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk.pem")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	const base = "host=db.example user=u password=topsecret "
	for _, c := range []struct{ dsn, says string }{
		{"postgres://u:topsecret%@db.example/shop", "cannot be parsed"},
		{base + "sslmode=topsecret", "cannot be parsed"},
		{base + "sslrootcert=" + filepath.Join(dir, "absent"), "absent: no such file"},
		{base + "sslrootcert=" + junk, "unable to add CA"},
		{base + "sslcert=" + junk, `both "sslcert" and "sslkey" are required`},
		{base + "sslcert=" + junk + " sslkey=" + junk, "failed to decode sslkey"},
		{base + "sslcert=" + filepath.Join(dir, "absent") + " sslkey=" + junk, ""},
	} {
		err := Check(c.dsn, true)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error()+access.AsError(err).Hint, "topsecret") || access.AsError(err).Hint == "" {
			t.Errorf("%s: %v", c.dsn, err)
		}
	}
}
