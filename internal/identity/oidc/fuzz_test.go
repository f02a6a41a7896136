package oidc

import (
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"
)

// FuzzToken holds the decoder against encoding/json: what it takes is one object that both read the same way.
func FuzzToken(f *testing.F) {
	b64 := base64.RawURLEncoding.EncodeToString
	for _, s := range []string{"", "..", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJFUzI1NiJ9.eyJhIjp7fX0.AA",
		b64([]byte(`{"alg":"ES256","kid":"k","typ":"application/at+jwt"}`)) + "." + b64([]byte(`{"iss":"https://a","aud":["x"],"exp":1e9,"act":{"act":{}},"a":1,"A":2}`)) + ".AAAA"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		h, claims, err := decode(raw)
		if err != nil {
			return
		}
		if len(raw) > maxToken || claims == nil {
			t.Fatal("taken")
		}
		back, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parseObject(back); err != nil || len(again) != len(claims) {
			t.Fatalf("%v: %s", err, back)
		}
		p := &provider{supply: &supply{keys: &keySet{}}}
		p.now, p.Actors = time.Now, []string{"a"}
		p.times(claims, true)
		p.chain(claims, "c", false, false)
		client(claims, false)
		scopes(claims)
		texts(claims, "aud")
		for _, s := range []string{h.alg, h.kid, h.typ} {
			if len(s) > maxString {
				t.Fatal("a header that is too long")
			}
		}
	})
}
