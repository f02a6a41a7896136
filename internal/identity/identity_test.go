package identity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"sallyport/internal/access"
)

const password = "correct horse"

func newStore(t *testing.T, more ...access.LocalPrincipal) *Store {
	t.Helper()
	list := append([]access.LocalPrincipal{
		{Name: "ada", Kind: access.Human, Groups: []string{"eng", "dba", "eng"}, Secret: HashPassword(password)},
		{Name: "bot", Kind: access.Agent},
	}, more...)
	s, err := New(list)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// converse runs an exchange as a client with that password would, and gives the server's first message.
func converse(t *testing.T, s *Store, user, password string) (x *Exchange, first string, err error) {
	t.Helper()
	c, cerr := scram.SHA256.NewClient("", password, "")
	if cerr != nil {
		c, _ = scram.SHA256.NewClientUnprepped("", password, "")
	}
	conv := c.NewConversation()
	x = s.SCRAM(user)
	msg, _ := conv.Step("")
	for {
		answer, done, err := x.Step(msg)
		if err != nil {
			return x, first, err
		}
		if first == "" {
			first = answer
		}
		if msg, err = conv.Step(answer); err != nil {
			t.Fatalf("client: %v", err)
		}
		if done {
			if !conv.Valid() {
				t.Fatal("the server's own proof is wrong")
			}
			return x, first, nil
		}
	}
}

func code(err error) string {
	var e *access.Error
	if !errors.As(err, &e) || e.Kind == access.Internal {
		return "not an access.Error: " + err.Error()
	}
	return e.Code
}

func TestLogInBySCRAM(t *testing.T) {
	s := newStore(t)
	x, _, err := converse(t, s, "ada", password)
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Verify(context.Background(), x)
	if err != nil || p.Name != "ada" || p.Kind != access.Human || !slices.Equal(p.Groups, []string{"dba", "eng"}) {
		t.Fatalf("got %+v, %v", p, err)
	}
	p.Groups[0] = "root"
	if x, _, _ := converse(t, s, "ada", password); true {
		if p, _ := s.Verify(context.Background(), x); p.Groups[0] != "dba" {
			t.Error("a caller changed the stored groups")
		}
	}
}

func TestExchangeCountsOnce(t *testing.T) {
	s := newStore(t)
	x, _, _ := converse(t, s, "ada", password)
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := s.Verify(context.Background(), x); err == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("verified %d times", won.Load())
	}
}

func TestExchangesThatDoNotCount(t *testing.T) {
	s, other := newStore(t), newStore(t)
	finished, _, _ := converse(t, other, "ada", password)
	half := s.SCRAM("ada")
	half.Step("n,,n=,r=abcdefgh")
	wrong, _, _ := converse(t, s, "ada", "wrong")
	unknown, _, _ := converse(t, s, "eve", password)
	for name, c := range map[string]struct {
		x    access.Credentials
		code string
	}{
		"zero":             {&Exchange{}, "28000"},
		"nil":              {(*Exchange)(nil), "28000"},
		"no_credentials":   {nil, "28000"},
		"bare_marker":      {access.Conversation{}, "28000"},
		"forged":           {&Exchange{store: s}, "28000"},
		"of_another_store": {finished, "28000"},
		"not_begun":        {s.SCRAM("ada"), "28000"},
		"half":             {half, "28000"},
		"wrong_password":   {wrong, "28P01"},
		"unknown_user":     {unknown, "28P01"},
	} {
		t.Run(name, func(t *testing.T) {
			if p, err := s.Verify(context.Background(), c.x); err == nil || p.Name != "" || code(err) != c.code {
				t.Errorf("got %+v, %v", p, err)
			}
		})
	}
}

func TestUnknownUsersCannotBeTold(t *testing.T) {
	weird := "SCRAM-SHA-256$8192:" + strings.SplitN(strings.Split(HashPassword("x"), "$")[1], ":", 2)[1] + "$" + strings.Split(HashPassword("x"), "$")[2]
	s := newStore(t, access.LocalPrincipal{Name: "old", Kind: access.Human, Secret: weird})
	salts := map[string]bool{}
	iters := map[string]bool{}
	users := []string{"eve", "bot", ""}
	for i := range 61 { // so many that both counts come up
		users = append(users, fmt.Sprint("nobody", i))
	}
	for _, user := range users {
		_, first, err := converse(t, s, user, password)
		if code(err) != "28P01" {
			t.Fatalf("%s: %v", user, err)
		}
		fields := strings.Split(first, ",")
		_, again, _ := converse(t, s, user, "other")
		if got := strings.Split(again, ","); got[1] != fields[1] || got[2] != fields[2] {
			t.Errorf("%s: salt or iterations change: %s, then %s", user, first, again)
		}
		if len(fields[1]) != len("s=")+24 {
			t.Errorf("%s: salt of another size than real ones: %s", user, fields[1])
		}
		salts[fields[1]], iters[fields[2]] = true, true
	}
	if len(salts) != len(users) {
		t.Error("users share salts")
	}
	if !iters["i=4096"] || !iters["i=8192"] || len(iters) != 2 {
		t.Errorf("iteration counts of mocks are %v, real ones 4096 and 8192", iters)
	}
	_, _, known := converse(t, s, "ada", "wrong")
	_, _, unknown := converse(t, s, "eve", "wrong")
	if strings.Replace(known.Error(), "ada", "eve", 1) != unknown.Error() {
		t.Errorf("%q and %q tell users apart", known, unknown)
	}
}

func TestMockSaltsSurviveARestart(t *testing.T) {
	list := []access.LocalPrincipal{{Name: "ada", Kind: access.Human, Secret: HashPassword(password)}}
	a, _ := New(list)
	b, _ := New(list)
	_, first, _ := converse(t, a, "eve", "x")
	_, second, _ := converse(t, b, "eve", "x")
	if strings.Split(first, ",")[1] != strings.Split(second, ",")[1] {
		t.Error("a restart tells mock salts from real ones")
	}
}

func TestMalformedMessages(t *testing.T) {
	s := newStore(t)
	for name, msgs := range map[string][]string{
		"empty":                 {""},
		"garbage":               {"\x00\xff"},
		"channel_binding":       {"p=tls-server-end-point,,n=,r=abc"},
		"authorization_id":      {"n,a=root,n=,r=abc"},
		"extension":             {"n,,m=x,n=,r=abc"},
		"too_long":              {"n,,n=,r=" + strings.Repeat("a", 1100)},
		"final_without_proof":   {"n,,n=,r=abc", "c=biws,r=abc"},
		"final_with_our_nonce?": {"n,,n=,r=abc", "c=biws,r=abc,p=AAAA"},
		"step_after_the_end":    {"", "n,,n=,r=abc"},
	} {
		for _, user := range []string{"ada", "eve"} {
			t.Run(name+"/"+user, func(t *testing.T) {
				x := s.SCRAM(user)
				var err error
				for i, m := range msgs {
					var done bool
					if _, done, err = x.Step(m); done {
						t.Fatal("done")
					}
					if last := i == len(msgs)-1; !last && err != nil && name != "step_after_the_end" {
						t.Fatalf("message %d: %v", i, err)
					}
				}
				if err == nil || code(err) != "08P01" {
					t.Errorf("got %v", err)
				}
				if _, err := s.Verify(context.Background(), x); err == nil {
					t.Error("verified")
				}
			})
		}
	}
}

func TestPasswords(t *testing.T) {
	s := newStore(t)
	for _, c := range []struct {
		user, secret string
		ok           bool
	}{
		{"ada", password, true}, {"ada", "wrong", false}, {"ada", "", false}, {"eve", password, false},
		{"bot", "", false}, {"bot", password, false}, {"", "", false}, {"ada", strings.Repeat("x", 5000), false},
	} {
		p, err := s.Verify(context.Background(), access.Password{User: c.user, Secret: c.secret})
		if (err == nil) != c.ok || c.ok && p.Name != c.user {
			t.Errorf("%q with %.10q: %+v, %v", c.user, c.secret, p, err)
		}
		if err != nil && code(err) != "28P01" {
			t.Errorf("%q: %v", c.user, err)
		}
	}
}

// SASLprep cannot prepare some passwords; PostgreSQL then takes their bytes, and so must we.
func TestUnusualPasswords(t *testing.T) {
	for _, pw := range []string{"pä\u00a0ss", "\U0001F512 emoji", "\xff\xfe", "a\u05d0b", "ﬁ"} {
		s, err := New([]access.LocalPrincipal{{Name: "ada", Kind: access.Human, Secret: HashPassword(pw)}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Verify(context.Background(), access.Password{User: "ada", Secret: pw}); err != nil {
			t.Errorf("%q as password: %v", pw, err)
		}
		if x, _, err := converse(t, s, "ada", pw); err != nil {
			t.Errorf("%q by SCRAM: %v", pw, err)
		} else if _, err := s.Verify(context.Background(), x); err != nil {
			t.Errorf("%q by SCRAM: %v", pw, err)
		}
	}
}

func TestTokens(t *testing.T) {
	good, goodHash := NewToken()
	dated, datedHash := NewToken()
	s := newStore(t, access.LocalPrincipal{Name: "agent", Kind: access.Agent, Tokens: []access.LocalToken{
		{SHA256: strings.ToUpper(goodHash)}, {SHA256: datedHash, Expires: "2027-01-31T00:00:00+01:00"},
	}})
	at := time.Date(2027, 1, 30, 22, 59, 59, 0, time.UTC)
	s.now = func() time.Time { return at }
	for _, tok := range []string{good, dated} {
		if p, err := s.Verify(context.Background(), access.Bearer(tok)); err != nil || p.Name != "agent" || p.Kind != access.Agent {
			t.Errorf("got %+v, %v", p, err)
		}
	}
	for _, tok := range []string{"", goodHash, good + "x", good[:len(good)-1], " " + good, "Bearer " + good} {
		if p, err := s.Verify(context.Background(), access.Bearer(tok)); err == nil || p.Name != "" || code(err) != "28000" {
			t.Errorf("%q: %+v, %v", tok, p, err)
		}
	}
	at = at.Add(time.Second) // the very moment
	if _, err := s.Verify(context.Background(), access.Bearer(dated)); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("expired token: %v", err)
	}
	if _, err := s.Verify(context.Background(), access.Bearer(good)); err != nil {
		t.Errorf("token without expiry: %v", err)
	}
	if sum := sha256.Sum256([]byte(good)); hex.EncodeToString(sum[:]) != goodHash || len(good) < 40 {
		t.Error("NewToken gives a hash that is not the token's")
	}
}

// Made by PostgreSQL 15.20: CREATE ROLE ... PASSWORD, read from pg_authid.
func TestVerifiersOfPostgreSQL(t *testing.T) {
	for verifier, secret := range map[string]string{
		"SCRAM-SHA-256$4096:0y8dMsH74nZL9iIHmN8Bdg==$MprSpyadIFZlOmc4cAEk1D7hB4DWIZAwRyFcPzODnDs=:C25fffKXlYuIakmI5IMuesU0xktIBQXllLSxaY2nndE=": "correct horse",
		"SCRAM-SHA-256$4096:0qD//YYrW3JN+r3/TiBFPw==$iP2WWz1cdN4fbKCU/z6RmbLwuJv+ttSLp0ZRuTYX//8=:T1dicHWXj01SV8oSl9DjsyY+H4431DXtvh8Zcp0tLu4=": "pä ss",
	} {
		s, err := New([]access.LocalPrincipal{{Name: "ada", Kind: access.Human, Secret: verifier}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Verify(context.Background(), access.Password{User: "ada", Secret: secret}); err != nil {
			t.Errorf("%q: %v", secret, err)
		}
		if x, _, err := converse(t, s, "ada", secret); err != nil {
			t.Errorf("%q by SCRAM: %v", secret, err)
		} else if _, err := s.Verify(context.Background(), x); err != nil {
			t.Errorf("%q by SCRAM: %v", secret, err)
		}
	}
}

func TestBadPrincipals(t *testing.T) {
	verifier := HashPassword("x")
	_, hash := NewToken()
	for name, list := range map[string][]access.LocalPrincipal{
		"empty_name":      {{Kind: access.Human}},
		"declared twice":  {{Name: "a", Kind: access.Human}, {Name: "a", Kind: access.Agent}},
		"neither":         {{Name: "a"}},
		"control":         {{Name: "a\nb", Kind: access.Human}},
		"form":            {{Name: "a", Kind: access.Human, Secret: "plaintext"}},
		"md5":             {{Name: "a", Kind: access.Human, Secret: "md5d41d8cd98f00b204e9800998ecf8427e"}},
		"iteration":       {{Name: "a", Kind: access.Human, Secret: strings.Replace(verifier, "$4096:", "$1:", 1)}},
		"iterations":      {{Name: "a", Kind: access.Human, Secret: strings.Replace(verifier, "$4096:", "$99999999:", 1)}},
		"base64":          {{Name: "a", Kind: access.Human, Secret: verifier[:len(verifier)-4]}},
		"64 hexadecimal":  {{Name: "a", Kind: access.Human, Tokens: []access.LocalToken{{SHA256: "abc"}}}},
		"RFC 3339":        {{Name: "a", Kind: access.Human, Tokens: []access.LocalToken{{SHA256: hash, Expires: "tomorrow"}}}},
		"same token":      {{Name: "a", Kind: access.Human, Tokens: []access.LocalToken{{SHA256: hash}}}, {Name: "b", Kind: access.Human, Tokens: []access.LocalToken{{SHA256: hash}}}},
		"tokens of twice": {{Name: "a", Kind: access.Human, Tokens: []access.LocalToken{{SHA256: hash}, {SHA256: hash}}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(list)
			if err == nil {
				t.Fatal("accepted")
			}
			var e *access.Error
			if !errors.As(err, &e) || e.Kind != access.Invalid || e.Hint == "" {
				t.Errorf("got %#v", err)
			}
			if s := list[0].Secret; s != "" && strings.Contains(err.Error(), s) {
				t.Error("the error repeats the secret")
			}
		})
	}
}
