package export

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Webhook is an HTTPS endpoint that takes batches of lines by POST, signed as Standard Webhooks 1.0.0 has it:
// HMAC-SHA256 with Secret over "ID.TIMESTAMP.BODY". A 2xx answer acknowledges the batch.
type Webhook struct {
	URL     string
	Secret  []byte
	TLS     *tls.Config   // nil: the system's roots
	Timeout time.Duration // of a batch; 30 s when 0
}

// Signed sends bodies to a Webhook.
type Signed struct {
	*Poster
	secret []byte
	now    func() time.Time
}

type webhook struct {
	*Signed
	mediaType string
}

// shortestSecret is what Standard Webhooks asks of a symmetric secret (24 to 64 bytes).
const shortestSecret = 24

// NewSigned makes ready to send to a webhook.
func NewSigned(c *Webhook) (*Signed, error) {
	if len(c.Secret) < shortestSecret {
		return nil, fmt.Errorf("the webhook's secret has %d bytes: %d are the least", len(c.Secret), shortestSecret)
	}
	p, err := NewPoster(c.URL, c.TLS, c.Timeout)
	if err != nil {
		return nil, err
	}
	return &Signed{Poster: p, secret: c.Secret, now: time.Now}, nil
}

func newWebhook(c *Webhook, mediaType string) (*webhook, error) {
	s, err := NewSigned(c)
	if err != nil {
		return nil, err
	}
	return &webhook{Signed: s, mediaType: mediaType}, nil
}

// WebhookSecret reads a secret as Standard Webhooks writes it, "whsec_" and base64; anything else stands for its own bytes.
func WebhookSecret(s string) ([]byte, error) {
	if len(s) < 6 || s[:6] != "whsec_" {
		return []byte(s), nil
	}
	b, err := base64.StdEncoding.DecodeString(s[6:])
	if err != nil {
		return nil, errors.New("what follows whsec_ is not base64")
	}
	return b, nil
}

func (w *webhook) send(ctx context.Context, b *batch) error {
	body := bytes.Join(b.lines, []byte{'\n'})
	body = append(body, '\n')
	// The same records have the same id whenever they are sent in the same batch.
	id := fmt.Sprintf("%s-%d-%d", b.log, b.first(), b.last())
	return w.Send(ctx, id, w.mediaType, http.Header{"Sallyport-Log": {b.log}, "Sallyport-Positions": {fmt.Sprintf("%d-%d", b.first(), b.last())}}, body)
}

// Send posts a body, signed as it is sent. A receiver that remembers ids tells by it what comes again. Errors are those of Post.
func (s *Signed) Send(ctx context.Context, id, mediaType string, header http.Header, body []byte) error {
	at := strconv.FormatInt(s.now().Unix(), 10)
	header.Set("Content-Type", mediaType)
	header.Set("User-Agent", "sallyport")
	header.Set("Webhook-Id", id)
	header.Set("Webhook-Timestamp", at)
	header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(sign(s.secret, id, at, body)))
	_, err := s.Post(ctx, "", header, body)
	return err
}

func sign(secret []byte, id, at string, body []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id + "." + at + "."))
	mac.Write(body)
	return mac.Sum(nil)
}
