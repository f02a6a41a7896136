package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"

	"sallyport/internal/access"
)

// Who only looks is told whether people can log in, and what to write where they cannot.
func TestLook(t *testing.T) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, _ := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &k.PublicKey, KeyID: "a", Use: "sig"}}})
	doc, keys, status := "", string(set), http.StatusOK
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	defer srv.Close()
	mux.HandleFunc(wellKnown, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		w.Write([]byte(doc))
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(keys)) })
	right := `{"issuer":"` + srv.URL + `","jwks_uri":"` + srv.URL + `/keys"}`
	gone := httptest.NewServer(mux)
	gone.Close()
	for name, c := range map[string]struct {
		issuer, doc, keys string
		status            int
		algs              []string
		want, hint        string
		down              bool
	}{
		"right":                  {doc: right},
		"a slash too many":       {issuer: srv.URL + "/", doc: right, want: "calls itself", hint: "to the letter"},
		"another path":           {issuer: srv.URL + "/realms/x", doc: right, want: "answers 404", hint: wellKnown},
		"dead":                   {issuer: gone.URL, want: "does not answer", hint: "does it run", down: true},
		"ill":                    {doc: right, status: 503, want: "answers 503", down: true},
		"no provider":            {doc: "<html>", want: "no metadata"},
		"keys in the clear":      {doc: strings.Replace(right, srv.URL+"/keys", "http://keys.example/", 1), want: "not https"},
		"keys that are none":     {doc: right, keys: "{}", want: "not a JWK Set"},
		"keys of another kind":   {doc: right, algs: []string{"RS256"}, want: "none of its 1 keys", hint: "algorithms"},
		"keys that are not used": {doc: right, keys: `{"keys":[]}`, want: "none of its 0 keys"},
	} {
		t.Run(name, func(t *testing.T) {
			doc, keys, status = c.doc, string(set), http.StatusOK
			if c.keys != "" {
				keys = c.keys
			}
			if c.status != 0 {
				status = c.status
			}
			if c.issuer == "" {
				c.issuer = srv.URL
			}
			ps, err := Open(Options{Providers: []access.Provider{{Name: "work", Issuer: c.issuer, ClientID: "x", Algorithms: c.algs}}})
			if err != nil {
				t.Fatal(err)
			}
			defer ps.Close()
			l := ps.Look(t.Context())[0]
			if c.want == "" {
				if l.Err != nil || l.Keys != 1 || l.Provider != "work" {
					t.Errorf("%+v", l)
				}
				return
			}
			if l.Err == nil || !strings.Contains(l.Err.Error(), c.want) || !strings.Contains(l.Hint, c.hint) || l.Down != c.down {
				t.Errorf("%+v", l)
			}
		})
	}
}
