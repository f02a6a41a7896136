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

type webhook struct {
	*poster
	secret    []byte
	mediaType string
	now       func() time.Time
}

// shortestSecret is what Standard Webhooks asks of a symmetric secret (24 to 64 bytes).
const shortestSecret = 24

func newWebhook(c *Webhook, mediaType string) (*webhook, error) {
	if len(c.Secret) < shortestSecret {
		return nil, fmt.Errorf("the webhook's secret has %d bytes: %d are the least", len(c.Secret), shortestSecret)
	}
	p, err := newPoster(c.URL, c.TLS, c.Timeout)
	if err != nil {
		return nil, err
	}
	return &webhook{poster: p, secret: c.Secret, mediaType: mediaType, now: time.Now}, nil
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
	at := strconv.FormatInt(w.now().Unix(), 10)
	header := http.Header{
		"Content-Type":        {w.mediaType},
		"User-Agent":          {"sallyport"},
		"Webhook-Id":          {id},
		"Webhook-Timestamp":   {at},
		"Webhook-Signature":   {"v1," + base64.StdEncoding.EncodeToString(sign(w.secret, id, at, body))},
		"Sallyport-Log":       {b.log},
		"Sallyport-Positions": {fmt.Sprintf("%d-%d", b.first(), b.last())},
	}
	_, err := w.post(ctx, "", header, body)
	return err
}

func sign(secret []byte, id, at string, body []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id + "." + at + "."))
	mac.Write(body)
	return mac.Sum(nil)
}
