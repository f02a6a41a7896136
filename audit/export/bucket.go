package export

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Bucket is a bucket of an S3-compatible store. It takes the log's sealed segments as they are, each once: an object that is
// there is never written over, and with Lock the store itself keeps it from everybody until Retain has passed.
type Bucket struct {
	URL       string // of the bucket, path style: https://s3.eu-central-1.amazonaws.com/my-bucket
	Prefix    string // in front of LOGID/SEGMENT
	Region    string // us-east-1 when empty
	AccessKey string
	SecretKey string
	Lock      Lock
	Retain    time.Duration // with Lock
	TLS       *tls.Config
	Timeout   time.Duration // of an object; 5 minutes when 0
}

// Lock is S3's object lock, by who can lift it.
type Lock string

const (
	NoLock     Lock = ""
	Governance Lock = "governance" // whoever has the permission
	Compliance Lock = "compliance" // nobody
)

const (
	objectTimeout = 5 * time.Minute
	maxRetain     = 100 * 366 * 24 * time.Hour
)

type bucket struct {
	conf   Bucket
	base   *url.URL
	poster *Poster
	now    func() time.Time
}

func newBucket(c *Bucket) (*bucket, error) {
	b := &bucket{conf: *c, now: time.Now}
	if b.conf.Timeout <= 0 {
		b.conf.Timeout = objectTimeout
	}
	if b.conf.Region == "" {
		b.conf.Region = "us-east-1"
	}
	switch {
	case c.AccessKey == "" || c.SecretKey == "":
		return nil, errors.New("the bucket wants an access key and a secret key")
	case c.Lock != NoLock && c.Lock != Governance && c.Lock != Compliance:
		return nil, fmt.Errorf("there is no lock %q", c.Lock)
	case (c.Lock != NoLock) != (c.Retain > 0) || c.Retain > maxRetain:
		return nil, errors.New("a lock wants a time that it holds for, and a time wants a lock")
	}
	var err error
	if b.base, err = url.Parse(strings.TrimSuffix(c.URL, "/")); err != nil {
		return nil, err
	}
	if strings.Trim(b.base.Path, "/") == "" {
		return nil, fmt.Errorf("%q names no bucket: write https://HOST/BUCKET", c.URL)
	}
	b.poster, err = NewPoster(c.URL, c.TLS, b.conf.Timeout)
	return b, err
}

func (b *bucket) close() error { return b.poster.Close() }

// put makes an object of data. One that is there already is left alone: that is no error where it is the same.
func (b *bucket) put(ctx context.Context, key string, data []byte) error {
	sum := sha256.Sum256(data)
	header := http.Header{
		"Content-Type":          {"application/octet-stream"},
		"If-None-Match":         {"*"},
		"X-Amz-Checksum-Sha256": {base64.StdEncoding.EncodeToString(sum[:])},
		"X-Amz-Meta-Sha256":     {hex.EncodeToString(sum[:])},
	}
	if b.conf.Lock != NoLock {
		header.Set("X-Amz-Object-Lock-Mode", strings.ToUpper(string(b.conf.Lock)))
		header.Set("X-Amz-Object-Lock-Retain-Until-Date", b.now().Add(b.conf.Retain).UTC().Format(time.RFC3339))
	}
	resp, answer, err := b.do(ctx, http.MethodPut, key, header, data)
	if err != nil {
		return err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusPreconditionFailed:
		return b.same(ctx, key, data)
	case http.StatusConflict: // another write of the same key runs
		return &later{err: storeError(resp, answer)}
	}
	return storeError(resp, answer)
}

// same tells whether an object holds data.
func (b *bucket) same(ctx context.Context, key string, data []byte) error {
	resp, answer, err := b.do(ctx, http.MethodGet, key, http.Header{}, nil)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK:
		return storeError(resp, answer)
	case !bytes.Equal(answer, data):
		return &rejected{why: "there is another object called " + key}
	}
	return nil
}

// do sends a signed request and reads the whole answer, which is no larger than a segment.
func (b *bucket) do(ctx context.Context, method, key string, header http.Header, body []byte) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, b.conf.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, b.base.JoinPath(key).String(), bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header = header
	if err := b.sign(ctx, req, body); err != nil {
		return nil, nil, err
	}
	resp, err := b.poster.client.Do(req)
	if err != nil {
		return nil, nil, withoutURL(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp, answer, err
}

// sign is AWS Signature Version 4.
func (b *bucket) sign(ctx context.Context, req *http.Request, body []byte) error {
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", hash)
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	return signer.SignHTTP(ctx, aws.Credentials{AccessKeyID: b.conf.AccessKey, SecretAccessKey: b.conf.SecretKey}, req, hash, "s3", b.conf.Region, b.now())
}

// storeError reads the error document of S3.
func storeError(resp *http.Response, answer []byte) error {
	var e struct {
		Code, Message string
	}
	_ = xml.Unmarshal(answer, &e) // without one the status says enough
	return errors.New(strings.TrimSpace(fmt.Sprintf("the store answers %s %s %s", resp.Status, e.Code, e.Message)))
}
