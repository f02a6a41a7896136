package harness

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"gopkg.in/yaml.v3"
)

// write makes the configuration file, the policy file and the data directory.
func (s Spec) write(g *Gateway) error {
	dir, listen := g.Dir, map[string]any{"pgwire": map[string]any{"address": g.PGAddr}, "mcp": map[string]any{"address": g.mcpAddr}}
	file := map[string]any{
		"data_dir":    "data",
		"listen":      listen,
		"policies":    []string{"policy.cedar"},
		"connections": map[string]any{},
		"principals":  map[string]any{},
	}
	if s.TLS {
		listen["pgwire"].(map[string]any)["tls"] = map[string]any{"own": true}
	}
	if s.Identity != nil {
		file["identity"] = s.Identity(g)
	}
	if s.Audit != nil {
		file["audit"] = s.Audit
	}
	if s.Refresh != "" {
		file["catalog_refresh"] = s.Refresh
	}
	for name, dsn := range s.Connections {
		file["connections"].(map[string]any)[name] = map[string]any{"driver": "postgres", "dsn": dsn}
	}
	for _, p := range s.Principals {
		secret, err := verifier(p.Password, p.Name)
		if err != nil {
			return err
		}
		entry := map[string]any{"kind": "human", "groups": p.Groups}
		if p.Agent {
			entry["kind"] = "agent"
		}
		if secret != "" {
			entry["secret"] = secret
		}
		if p.Token != "" {
			sum := sha256.Sum256([]byte(p.Token))
			entry["tokens"] = []any{map[string]any{"sha256": hex.EncodeToString(sum[:]), "note": "evals"}}
		}
		file["principals"].(map[string]any)[p.Name] = entry
	}
	var labels []any
	for _, l := range s.Labels {
		labels = append(labels, map[string]any{"label": l.Name, "columns": l.Columns})
	}
	file["labels"] = labels
	masks := map[string]any{}
	for label, m := range s.Masks {
		entry := map[string]any{"transform": m.Transform}
		if m.Style != "" {
			entry["style"] = m.Style
		}
		if m.Bucket != "" {
			entry["bucket"] = m.Bucket
		}
		masks[label] = entry
	}
	file["masks"] = masks
	if w := s.Web; w != nil {
		door := map[string]any{"address": g.webAddr, "auditors": w.Auditors, "operators": w.Operators}
		if w.StepUp != "" {
			door["step_up"] = w.StepUp
		}
		listen["web"] = door
	}
	if s.Approvals != nil {
		file["approvals"] = s.Approvals
	}
	var purposes []any
	for _, p := range s.Purposes {
		purposes = append(purposes, map[string]any{"id": p.ID, "text": p.Text, "lawful_basis": p.LawfulBasis})
	}
	if purposes != nil {
		file["purposes"] = purposes
	}
	text, err := yaml.Marshal(file)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "sallyport.yaml"), text, 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "policy.cedar"), []byte(s.Policy), 0o600); err != nil {
		return err
	}
	return os.MkdirAll(filepath.Join(dir, "data"), 0o700)
}

// verifier makes a SCRAM-SHA-256 verifier in PostgreSQL's layout (RFC 5803). The passwords of the
// evals are ASCII, so SASLprep changes nothing.
func verifier(password, salt string) (string, error) {
	if password == "" {
		return "", nil
	}
	const iterations = 4096
	sum := sha256.Sum256([]byte(salt))
	s := sum[:16]
	salted, err := pbkdf2.Key(sha256.New, password, s, iterations, 32)
	if err != nil {
		return "", err
	}
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, b64(s), b64(stored[:]), b64(mac(salted, "Server Key"))), nil
}
