package web

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"sallyport/internal/access"
)

// familiarTime is how long a browser is familiar after a log-in in it.
const familiarTime = 90 * 24 * time.Hour

// familiar knows browsers in which somebody has logged in by a provider. What tells one whom a provider sends back from one who makes log-ins up is the
// provider's to say, and it is the asking that there are few places for. Such a browser has a place of its person's, and does not wait among all who
// have its address. The cookie that says so opens nothing.
type familiar struct {
	secure bool
	name   string // of the cookie
	aead   cipher.AEAD
}

// acquaintance is what the cookie says, sealed. Person is the same for all browsers of an account: whoever logs in many times has no more places by it.
type acquaintance struct {
	Person string
	Since  time.Time
}

func newFamiliar(secure bool, key []byte) (*familiar, error) {
	f := &familiar{secure: secure, name: "sallyport-browser"}
	if secure {
		f.name = "__Host-sallyport-browser"
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	f.aead, err = cipher.NewGCMWithRandomNonce(block)
	return f, err
}

// cookie is Lax, as that of a flow: it is for the provider's answer.
func (f *familiar) cookie(p access.Principal, now time.Time) (*http.Cookie, error) {
	sum := sha256.Sum256([]byte(p.Proof.Issuer + "\x00" + p.Proof.Subject))
	text, err := json.Marshal(acquaintance{hex.EncodeToString(sum[:]), now})
	if err != nil {
		return nil, err
	}
	return &http.Cookie{Name: f.name, Value: base64.RawURLEncoding.EncodeToString(f.aead.Seal(nil, nil, text, []byte(f.name))), Path: "/",
		HttpOnly: true, Secure: f.secure, SameSite: http.SameSiteLaxMode, MaxAge: int(familiarTime.Seconds())}, nil
}

// person is who has logged in in the browser of a request, by something that is no name; "" where nobody has, or too long ago.
func (f *familiar) person(r *http.Request, now time.Time) string {
	c, err := r.Cookie(f.name)
	if err != nil {
		return ""
	}
	sealed, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return ""
	}
	text, err := f.aead.Open(nil, nil, sealed, []byte(f.name))
	if err != nil {
		return ""
	}
	var a acquaintance
	if err := json.Unmarshal(text, &a); err != nil || now.Sub(a.Since) >= familiarTime {
		return ""
	}
	return a.Person
}
