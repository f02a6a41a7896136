package pgwire

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"sallyport/internal/access"
	"sallyport/internal/identity/oidc"
	"sallyport/internal/testidp"
)

// choose goes to where a client chooses a mechanism, and checks what it is offered.
func (w *wire) choose(want ...string) *wire {
	w.t.Helper()
	m, ok := w.next().(*pgproto3.AuthenticationSASL)
	if !ok || !slices.Equal(m.AuthMechanisms, want) {
		w.t.Fatalf("offered %+v, want %q", m, want)
	}
	return w
}

func bearer(data string) *pgproto3.SASLInitialResponse {
	return &pgproto3.SASLInitialResponse{AuthMechanism: oauthMechanism, Data: []byte(data)}
}

func TestTokens(t *testing.T) {
	p := newTokens(t)
	d := identified(t, p)
	token := p.tokens[testUser]
	for name, msg := range map[string]string{
		"plain":            "n,,\x01auth=Bearer " + token + "\x01\x01",
		"with_host":        "n,,\x01host=db\x01port=5432\x01auth=Bearer " + token + "\x01\x01",
		"key_behind":       "n,,\x01auth=Bearer " + token + "\x01x=\x01\x01",
		"y":                "y,,\x01auth=Bearer " + token + "\x01\x01",
		"lower_case":       "n,,\x01auth=bearer " + token + "\x01\x01",
		"some_more_blanks": "n,,\x01auth=Bearer   " + token + "\x01\x01",
	} {
		t.Run(name, func(t *testing.T) {
			w := d.secure(t, tls.Certificate{})
			w.startup(version30, nil)
			w.choose(mechanism, oauthMechanism).send(encode(t, bearer(msg)))
			if seen := w.until('Z'); !strings.HasPrefix(seen, "RS") {
				t.Errorf("messages %s", seen)
			}
			if l := d.core.lastLogin(); l.Credentials != access.Bearer(token) || l.User != testUser {
				t.Error("another proof reached the core")
			}
		})
	}
	t.Run("response_of_its_own", func(t *testing.T) {
		w := d.secure(t, tls.Certificate{})
		w.startup(version30, nil)
		w.choose(mechanism, oauthMechanism).send([]byte{'p', 0, 0, 0, 20}, []byte("OAUTHBEARER\x00\xff\xff\xff\xff"))
		if m, ok := w.next().(*pgproto3.AuthenticationSASLContinue); !ok || len(m.Data) != 0 {
			t.Fatalf("got %+v", m)
		}
		w.send(encode(t, &pgproto3.SASLResponse{Data: []byte("n,,\x01auth=Bearer " + token + "\x01\x01")})).until('Z')
	})
	t.Run("on_loopback_without_tls", func(t *testing.T) {
		w := d.dial(t)
		w.startup(version30, nil)
		w.choose(mechanism, oauthMechanism).send(encode(t, bearer("n,,\x01auth=Bearer "+token+"\x01\x01"))).until('Z')
	})
	t.Run("pgx", func(t *testing.T) {
		ctx := testContext(t)
		cfg, err := pgx.ParseConfig(d.dsn("sslmode=require"))
		if err != nil {
			t.Fatal(err)
		}
		cfg.Password, cfg.OAuthTokenProvider = "", func(context.Context) (string, error) { return token, nil }
		c, err := pgx.ConnectConfig(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(ctx)
		var v string
		if err := c.QueryRow(ctx, "ECHO abc").Scan(&v); err != nil || v != "abc" {
			t.Errorf("got %q, %v", v, err)
		}
	})
}

// discovered reads the challenge that ends a failed exchange, and answers it.
func (w *wire) discovered(answer string) map[string]string {
	w.t.Helper()
	m, ok := w.next().(*pgproto3.AuthenticationSASLContinue)
	if !ok {
		w.t.Fatalf("got %+v", m)
	}
	got := map[string]string{}
	if err := json.Unmarshal(m.Data, &got); err != nil {
		w.t.Fatal(err)
	}
	w.send(encode(w.t, &pgproto3.SASLResponse{Data: []byte(answer)}))
	return got
}

func TestDiscovery(t *testing.T) {
	d := identified(t, newPeople(t))
	for name, c := range map[string]struct {
		options       string
		offered       []string
		document, ask string
	}{
		"first_provider": {"", []string{mechanism, oauthMechanism}, "https://other.example/.well-known/openid-configuration", "openid"},
		"named_provider": {"-c sallyport.provider=corp", []string{oauthMechanism}, "https://idp.example/realm/.well-known/openid-configuration", "openid db"},
	} {
		t.Run(name, func(t *testing.T) {
			w := d.secure(t, tls.Certificate{})
			w.startup(version30, map[string]string{"options": c.options})
			w.choose(c.offered...).send(encode(t, bearer("n,,\x01auth=\x01\x01")))
			got := w.discovered("\x01")
			if len(got) != 3 || got["status"] != "invalid_token" || got["openid-configuration"] != c.document || got["scope"] != c.ask {
				t.Errorf("got %v", got)
			}
			w.expectFatal("28000")
		})
	}
	if n := d.core.refused.Load(); n != 0 {
		t.Errorf("%d questions are on record as log-ins", n)
	}
	t.Run("unknown_provider", func(t *testing.T) {
		w := d.secure(t, tls.Certificate{})
		w.startup(version30, map[string]string{"options": "-c sallyport.provider=cor\x1bp"})
		if e := w.expectFatal("22023"); !strings.Contains(e.Hint, "other, corp") || strings.Contains(e.Message, "\x1b") {
			t.Errorf("got %+v", e)
		}
	})
}

func TestTokensThatAreRefused(t *testing.T) {
	p := newTokens(t)
	d := identified(t, p)
	token := p.tokens[testUser]
	for name, auth := range map[string]string{
		"unknown":            "Bearer sp_unknown",
		"of_another_user":    "Bearer " + p.tokens["bob"],
		"of_another_scheme":  "Basic " + token,
		"without_a_scheme":   token,
		"empty":              "Bearer ",
		"only_padding":       "Bearer ==",
		"padding_inside":     "Bearer a=b",
		"blank_behind":       "Bearer " + token + " ",
		"two_in_one":         "Bearer " + token + " " + token,
		"tab_for_a_blank":    "Bearer\t" + token,
		"of_60_KB":           "Bearer " + strings.Repeat("a", 60000),
		"quoted":             `Bearer "` + token + `"`,
		"beyond_the_charset": "Bearer " + token + "%",
	} {
		t.Run(name, func(t *testing.T) {
			before, logins := d.core.refused.Load(), len(d.core.logins)
			w := d.secure(t, tls.Certificate{})
			w.startup(version30, nil)
			w.choose(mechanism, oauthMechanism).send(encode(t, bearer("n,,\x01auth="+auth+"\x01\x01")))
			if got := w.discovered("\x01"); got["status"] != "invalid_token" {
				t.Errorf("got %v", got)
			}
			w.expectFatal("28000")
			if d.core.refused.Load() != before+1 || len(d.core.logins) != logins {
				t.Errorf("the core heard of %d refusals and %d log-ins", d.core.refused.Load()-before, len(d.core.logins)-logins)
			}
		})
	}
	if strings.Contains(d.logs.String(), token) {
		t.Error("a token is in the log")
	}
}

// A token that cannot be checked is not refused: the client is not sent to its provider for another.
func TestTokensThatCannotBeChecked(t *testing.T) {
	idp := testidp.New(t)
	ps, err := oidc.Open(oidc.Options{Audience: "https://gate.example/mcp", Providers: []access.Provider{{Name: "corp", Issuer: idp.Issuer, ClientID: testidp.ClientID}}})
	if err != nil {
		t.Fatal(err)
	}
	defer ps.Close()
	p := newTokens(t)
	p.store.By(ps, nil, nil)
	d := identified(t, p)
	idp.Down(true)
	w := d.secure(t, tls.Certificate{})
	w.startup(version30, nil)
	w.choose(mechanism, oauthMechanism).send(encode(t, bearer("n,,\x01auth=Bearer "+idp.AccessToken("https://gate.example/mcp")+"\x01\x01")))
	if e := w.expectFatal("57P03"); e.Message != "the access token cannot be checked at the moment" || e.Hint == "" {
		t.Errorf("got %+v", e)
	}
	if n := d.core.refused.Load(); n != 0 {
		t.Errorf("the core heard of %d refusals", n)
	}
}

func TestMalformedTokenMessages(t *testing.T) {
	p := newTokens(t)
	d := identified(t, p)
	auth := "auth=Bearer " + p.tokens[testUser] + "\x01"
	for name, c := range map[string]struct{ msg, code string }{
		"empty":                     {"", "08P01"},
		"channel_binding":           {"p=tls-server-end-point,,\x01" + auth + "\x01", "08P01"},
		"no_header":                 {"\x01" + auth + "\x01", "08P01"},
		"half_a_header":             {"n,\x01" + auth + "\x01", "08P01"},
		"authorization_identity":    {"n,a=bob,\x01" + auth + "\x01", "0A000"},
		"header_alone":              {"n,,", "08P01"},
		"no_separator":              {"n,," + auth + "\x01", "08P01"},
		"no_pair":                   {"n,,\x01\x01", "08P01"},
		"no_end":                    {"n,,\x01" + auth, "08P01"},
		"pair_without_end":          {"n,,\x01" + auth[:len(auth)-1], "08P01"},
		"two_tokens":                {"n,,\x01" + auth + auth + "\x01", "08P01"},
		"an_empty_one_and_a_token":  {"n,,\x01auth=\x01" + auth + "\x01", "08P01"},
		"bytes_behind_the_end":      {"n,,\x01" + auth + "\x01x", "08P01"},
		"another_end":               {"n,,\x01" + auth + "\x01\x01", "08P01"},
		"key_without_value":         {"n,,\x01host\x01" + auth + "\x01", "08P01"},
		"key_of_digits":             {"n,,\x01h0st=x\x01" + auth + "\x01", "08P01"},
		"value_without_key":         {"n,,\x01=x\x01" + auth + "\x01", "08P01"},
		"control_byte_in_the_token": {"n,,\x01auth=Bearer a\x02b\x01\x01", "08P01"},
		"nul_in_the_token":          {"n,,\x01auth=Bearer a\x00b\x01\x01", "08P01"},
		"nul_behind":                {"n,,\x01" + auth + "\x01\x00", "08P01"},
		"8_bits":                    {"n,,\x01auth=Bearer \xc3\xa4\x01\x01", "08P01"},
		"only_the_answer":           {"\x01", "08P01"},
	} {
		t.Run(name, func(t *testing.T) {
			w := d.secure(t, tls.Certificate{})
			w.startup(version30, nil)
			w.choose(mechanism, oauthMechanism).send(encode(t, bearer(c.msg)))
			w.expectFatal(c.code)
		})
	}
	for name, msg := range map[string][]byte{
		"too_long":                  {'p', 0, 1, 0, 4},
		"scram_as_long_as_a_token":  encode(t, &pgproto3.SASLInitialResponse{AuthMechanism: mechanism, Data: make([]byte, 2000)}),
		"no_length":                 []byte("p\x00\x00\x00\x10OAUTHBEARER\x00"),
		"length_below_none":         []byte("p\x00\x00\x00\x14OAUTHBEARER\x00\xff\xff\xff\xfe"),
		"none_with_bytes_behind":    []byte("p\x00\x00\x00\x15OAUTHBEARER\x00\xff\xff\xff\xffn"),
		"mechanism_of_another_case": encode(t, &pgproto3.SASLInitialResponse{AuthMechanism: "oauthbearer", Data: []byte("n,,\x01" + auth + "\x01")}),
	} {
		t.Run(name, func(t *testing.T) {
			w := d.secure(t, tls.Certificate{})
			w.startup(version30, nil)
			w.choose(mechanism, oauthMechanism).send(msg)
			w.expectFatal("08P01")
		})
	}
	t.Run("another_token_after_the_first", func(t *testing.T) {
		w := d.secure(t, tls.Certificate{})
		w.startup(version30, nil)
		w.choose(mechanism, oauthMechanism).send(encode(t, bearer("n,,\x01auth=\x01\x01")))
		w.discovered("n,,\x01" + auth + "\x01")
		w.expectFatal("08P01")
	})
	t.Run("scram_after_a_token", func(t *testing.T) {
		w := d.secure(t, tls.Certificate{})
		w.startup(version30, map[string]string{"options": "-c sallyport.provider=corp"})
		w.choose(oauthMechanism).send(encode(t, &pgproto3.SASLInitialResponse{AuthMechanism: mechanism, Data: []byte("n,,n=,r=abcdefgh")}))
		w.expectFatal("08P01")
	})
	if n := len(d.core.logins) + int(d.core.refused.Load()); n != 0 {
		t.Errorf("%d log-ins reached the core", n)
	}
}

// farAway is a connection whose client is another machine.
type farAway struct{ net.Conn }

func (farAway) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(203, 0, 113, 9), Port: 1} }

func TestTokensDoNotTravelInTheClear(t *testing.T) {
	core := newFakeCore()
	core.providers = []access.Provider{testProvider}
	srv := newServer(core, Options{})
	ours, theirs := net.Pipe()
	defer theirs.Close()
	defer ours.Close()
	c := newConn(srv, farAway{ours})
	defer c.cancel()
	c.startup = &startup{user: testUser}
	if o, err := c.offer(); err != nil || o.oauth || !o.scram {
		t.Errorf("offer %+v, %v", o, err)
	}
	c.startup.provider = testProvider.Name
	if o, err := c.offer(); err == nil || o.oauth || stateOf(access.AsError(err)) != "28000" {
		t.Errorf("offer %+v, %v", o, err)
	}
	c.io = tls.Server(ours, &tls.Config{})
	if o, err := c.offer(); err != nil || !o.oauth {
		t.Errorf("within TLS: offer %+v, %v", o, err)
	}
}
