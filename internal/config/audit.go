package config

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Audit says how the record is kept, whether it is indexed, and who vouches for it from outside.
type Audit struct {
	// Index keeps the index that `sallyport search` uses up to date while the gateway runs. Default true. Without it a
	// search brings the index up to date by itself, which takes longer.
	Index *bool `yaml:"index"`
	// Witnesses cosign the record's checkpoints (C2SP tlog-witness); `sallyport witness` is one.
	Witnesses []Witness `yaml:"witnesses"`
	// Quorum is how many of the witnesses are enough. Default: more than half of them.
	Quorum int `yaml:"quorum"`
	// Timestamping names authorities that say when a checkpoint existed (RFC 3161).
	Timestamping *Timestamping `yaml:"timestamping"`
	// Erasure says who may have records erased or held.
	Erasure Erasure `yaml:"erasure"`
	// Retention says how long what is kept; `serve` erases what is due once a day.
	Retention Retention `yaml:"retention"`
	// KeyEncryption says where the key is that wraps the keys of records. Without it they are not wrapped.
	KeyEncryption *KeyEncryption `yaml:"key_encryption"`
}

// Indexed is whether the gateway keeps the index up to date.
func (a *Audit) Indexed() bool { return a.Index == nil || *a.Index }

// Witness is one witness.
type Witness struct {
	// Name is what status and evidence call it.
	Name string `yaml:"name"`
	// URL is its submission prefix: https, or http on this machine.
	URL string `yaml:"url"`
	// Key is its public key (name+hash+base64), which `sallyport witness key` prints.
	Key string `yaml:"key"`
	// TLS says whom to trust and what to show.
	TLS *ClientTLS `yaml:"tls"`
}

// Timestamping names time-stamping authorities.
type Timestamping struct {
	// URLs of authorities; the first that answers is taken. Only a digest is sent, so http will do: the answer is signed.
	URLs []string `yaml:"urls"`
	// CA is a PEM file with the certificates that the authorities' must lead to.
	CA string `yaml:"ca"`
	// Every is the time between two timestamps, at least 1m. Default 1h.
	Every Duration `yaml:"every"`
}

const leastEvery = time.Minute

func (c *Config) audit(d *document) {
	a := &c.File.Audit
	names, keys := map[string]bool{}, map[string]string{}
	for i := range a.Witnesses {
		w := &a.Witnesses[i]
		at := func(key string) int { return d.line("audit", "witnesses", strconv.Itoa(i), key) }
		if !nameForm.MatchString(w.Name) || w.Name == "none" || w.Name == "enough" { // words of the policy that is kept
			d.add(at("name"), fmt.Sprintf("`%s` cannot be a witness's name", w.Name), nameHint+"; not none, not enough")
		} else if names[w.Name] {
			d.add(at("name"), fmt.Sprintf("two witnesses are called `%s`", w.Name), "each counts once: give each a name and a key of its own")
		}
		names[w.Name] = true
		if !witnessKey(w.Key) {
			d.add(at("key"), fmt.Sprintf("the key of witness `%s` is no witness's public key", w.Name), "it is name+hash+base64, as `sallyport witness key` prints it; a log's key is another kind")
		} else if other, twice := keys[w.Key]; twice {
			d.add(at("key"), fmt.Sprintf("the witnesses `%s` and `%s` have one key", other, w.Name), "each counts once: give each a key of its own")
		}
		keys[w.Key] = w.Name
		u, err := url.Parse(w.URL)
		switch {
		case err != nil || !httpURL(w.URL) || u.User != nil || u.RawQuery != "" || strings.ContainsAny(w.URL, "# \t"):
			d.add(at("url"), fmt.Sprintf("witness `%s` needs an https URL", w.Name), "for example https://witness.example.com; /add-checkpoint is added")
		case strings.HasSuffix(u.Path, "/add-checkpoint"):
			d.add(at("url"), fmt.Sprintf("the URL of witness `%s` ends in /add-checkpoint", w.Name), "leave that out: it is added")
		case u.Scheme == "http" && !loopback(u.Hostname()):
			d.add(at("url"), fmt.Sprintf("witness `%s` would be asked in the clear on another machine", w.Name), "use https")
		}
		if w.TLS != nil {
			if (w.TLS.Cert == "") != (w.TLS.Key == "") {
				d.add(at("tls"), "`tls` needs both `cert` and `key`, or neither", "")
			}
			w.TLS = &ClientTLS{CA: c.abs(w.TLS.CA), Cert: c.abs(w.TLS.Cert), Key: c.abs(w.TLS.Key)}
		}
	}
	switch n := len(a.Witnesses); {
	case a.Quorum < 0 || a.Quorum > n:
		d.add(d.line("audit", "quorum"), fmt.Sprintf("a quorum of %d cannot be reached with %d witnesses", a.Quorum, n), "it is how many of `audit.witnesses` are enough")
	case a.Quorum == 0 && n > 0:
		a.Quorum = n/2 + 1
	}
	if t := a.Timestamping; t != nil {
		c.timestamping(d, t)
	}
}

func (c *Config) timestamping(d *document, t *Timestamping) {
	at := func(keys ...string) int { return d.line(append([]string{"audit", "timestamping"}, keys...)...) }
	if len(t.URLs) == 0 {
		d.add(at(), "`audit.timestamping` names no authority", "`urls: [https://tsa.example.com]`")
	}
	for i, u := range t.URLs {
		if p, err := url.Parse(u); err != nil || !httpURL(u) || p.User != nil {
			d.add(at("urls", strconv.Itoa(i)), fmt.Sprintf("`%s` is not an http(s) URL", u), "for example https://tsa.example.com/tsr")
		}
	}
	if t.Every == 0 {
		t.Every = Duration(time.Hour)
	}
	if time.Duration(t.Every) < leastEvery {
		d.add(at("every"), "`audit.timestamping.every` is at least 1m", "authorities are other people's, and each timestamp is kept")
	}
	if t.CA == "" {
		d.add(at(), "`audit.timestamping` has no `ca`", "a PEM file with the certificates that the authority's own must lead to: without it nobody's word would be checked")
		return
	}
	t.CA = c.abs(t.CA)
	text, err := os.ReadFile(t.CA)
	switch {
	case err != nil:
		d.add(at("ca"), reason(err), "")
	case !x509.NewCertPool().AppendCertsFromPEM(text):
		d.add(at("ca"), fmt.Sprintf("`%s` has no certificate", t.CA), "it is a PEM file: -----BEGIN CERTIFICATE-----")
	}
}

// witnessKey is whether a text is the public key of a C2SP cosignature/v1 witness: the hash in it is the beginning of the
// SHA-256 of name, newline and key, which begins with the number of the algorithm.
func witnessKey(s string) bool {
	const cosignature, size = 4, 1 + 32
	part := strings.SplitN(s, "+", 3)
	if len(part) != 3 || part[0] == "" || strings.ContainsAny(part[0], " \t\r\n#") {
		return false
	}
	key, err := base64.StdEncoding.Strict().DecodeString(part[2])
	if err != nil || len(key) != size || key[0] != cosignature || strings.ContainsAny(part[2], "\r\n") {
		return false
	}
	sum := sha256.Sum256(bytes.Join([][]byte{[]byte(part[0]), key}, []byte("\n")))
	return part[1] == fmt.Sprintf("%08x", sum[:4])
}
