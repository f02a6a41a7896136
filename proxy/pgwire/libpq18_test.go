package pgwire

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// libpq 18 itself speaks OAUTHBEARER with the door: SALLYPORT_LIBPQ18 is a libpq.so of PostgreSQL 18 (npm's @embedded-postgres has one),
// which python3 loads. It asks where tokens come from, connects anew, and then has one.
func TestLibpq18(t *testing.T) {
	lib := os.Getenv("SALLYPORT_LIBPQ18")
	if lib == "" {
		t.Skip("NO LIBPQ 18: SALLYPORT_LIBPQ18 names none, so OAUTHBEARER is tried with pgx and byte by byte alone")
	}
	p := newTokens(t)
	d := identified(t, p)
	connect := func(token, more string) (string, error) {
		t.Helper()
		host, port, _ := strings.Cut(d.addr, ":")
		cmd := exec.CommandContext(testContext(t), "python3", "testdata/libpq18.py", lib,
			fmt.Sprintf("host=%s port=%s user=%s dbname=%s sslmode=require %s", host, port, testUser, testConn, more))
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LD_LIBRARY_PATH=" + filepath.Dir(lib), "TOKEN=" + token}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	oauth := "oauth_client_id=x options='-c sallyport.provider=corp' oauth_issuer="
	if out, err := connect(p.tokens[testUser], oauth+"https://idp.example/realm"); err != nil || out != "https://idp.example/realm/.well-known/openid-configuration | openid db\nabc\n" {
		t.Errorf("with a token: %q, %v", out, err)
	}
	if out, err := connect(p.tokens["bob"], oauth+"https://idp.example/realm"); err == nil || !strings.Contains(out, "the access token is not that of the user") {
		t.Errorf("with another's token: %q, %v", out, err)
	}
	if out, err := connect(p.tokens[testUser], oauth+"https://evil.example"); err == nil || strings.Contains(out, "abc") {
		t.Errorf("with another issuer: %q, %v", out, err)
	}
	// Who says nothing of providers has SCRAM, whatever else there is.
	if out, err := connect("", "password='"+testPassword+"'"); err != nil || out != "abc\n" {
		t.Errorf("with a password: %q, %v", out, err)
	}
}
