package timestamp

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"

	"github.com/digitorus/timestamp"
)

// Client asks one authority. It may be used by several goroutines. Retrying is its caller's business.
type Client struct {
	URL   string
	Roots *x509.CertPool // that the authority's certificate must lead to
	HTTP  *http.Client
}

// Stamp has data stamped and gives the token (DER), which was verified, and what it says. Only a digest of
// data leaves the process.
func (c *Client) Stamp(ctx context.Context, data []byte) ([]byte, Stamp, error) {
	token, s, err := c.stamp(ctx, sha256.Sum256(data))
	if err != nil {
		return nil, Stamp{}, fmt.Errorf("have %s stamp a checkpoint: %w", c.URL, err)
	}
	return token, s, nil
}

func (c *Client) stamp(ctx context.Context, digest [sha256.Size]byte) ([]byte, Stamp, error) {
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return nil, Stamp{}, err
	}
	query, err := (&timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: digest[:], Certificates: true, Nonce: nonce}).Marshal()
	if err != nil {
		return nil, Stamp{}, err
	}
	answer, err := c.ask(ctx, query)
	if err != nil {
		return nil, Stamp{}, err
	}
	t, err := timestamp.ParseResponse(answer)
	if err != nil {
		return nil, Stamp{}, fmt.Errorf("its answer: %w", err)
	}
	s, err := verify(t.RawToken, digest, c.Roots)
	if err != nil {
		return nil, Stamp{}, err
	}
	// Without the nonce an old answer for the same bytes would do.
	if s.nonce == nil || s.nonce.Cmp(nonce) != 0 {
		return nil, Stamp{}, errors.New("it answers another request")
	}
	return t.RawToken, s, nil
}

func (c *Client) ask(ctx context.Context, query []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(query))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/timestamp-query") // RFC 3161, 3.4
	req.Header.Set("Accept", "application/timestamp-reply")
	res, err := c.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %d", res.StatusCode)
	}
	return io.ReadAll(io.LimitReader(res.Body, maxTokenSize))
}
