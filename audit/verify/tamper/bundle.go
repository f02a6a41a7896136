package tamper

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"sallyport/audit/checkpoint"
)

const (
	attestation = "attestation.dsse.json"
	keyFile     = "key.pub"
)

// entry is a file of a bundle.
type entry struct {
	name string
	data []byte
}

func unzip(path string) ([]entry, error) {
	z, err := zip.OpenReader(path)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	var out []entry
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			return nil, err
		}
		out = append(out, entry{f.Name, data})
	}
	return out, nil
}

func rezip(path string, files []entry) error {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		to, err := w.Create(f.name)
		if err == nil {
			_, err = to.Write(f.data)
		}
		if err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o600)
}

// Bundle gives the manipulations of a bundle.
func (w *World) Bundle() ([]Manipulation, error) {
	own, err := unzip(w.Zip)
	if err != nil {
		return nil, err
	}
	beside, err := unzip(w.Beside)
	if err != nil {
		return nil, err
	}
	cross, err := unzip(w.Cross)
	if err != nil {
		return nil, err
	}
	var out []Manipulation
	add := func(kind, where, named string, change func(files []entry) []entry) {
		out = append(out, Manipulation{Kind: kind, Of: "bundle", Where: where, Named: []string{named}, Do: func(path string) error {
			return rezip(path, change(slices.Clone(own)))
		}})
	}
	var leaves []int
	for i, f := range own {
		if strings.HasSuffix(f.name, ".leaf") {
			leaves = append(leaves, i)
		}
		changed, missing := fmt.Sprintf("%q was changed since it was signed", f.name), fmt.Sprintf("%q is missing", f.name)
		switch f.name {
		case attestation:
			changed, missing = "the list of files is not signed with the key", "no "+attestation
		case keyFile:
			changed, missing = "not the one that is trusted", "the key is"
		}
		put := func(data []byte) func([]entry) []entry {
			return func(files []entry) []entry { files[i].data = data; return files }
		}
		edited := bytes.Clone(f.data)
		if f.name == attestation {
			edited = bytes.Replace(edited, []byte(`"sig": "`), []byte(`"sig": "AAAA`), 1)
		} else {
			edited[len(edited)/2] ^= 1
		}
		add("edit", f.name, changed, put(edited))
		add("drop", f.name, missing, func(files []entry) []entry { return slices.Delete(files, i, i+1) })
		add("duplicate", f.name, fmt.Sprintf("%q is there twice", f.name), func(files []entry) []entry { return append(files, f) })
		if f.name != attestation && f.name != keyFile {
			add("truncate", f.name, changed, put(f.data[:len(f.data)/2]))
		}
		if f.name != keyFile {
			if data, ok := find(beside, f.name); ok && f.name != attestation && !bytes.Equal(data, f.data) {
				add("swap with another bundle's", f.name, changed, put(data))
			}
		}
		if data, ok := find(cross, f.name); ok && !bytes.Equal(data, f.data) {
			add("cross-node swap", f.name, changed, put(data))
		}
	}
	for k := range len(leaves) - 1 {
		a, b := leaves[k], leaves[k+1]
		add("swap", own[a].name+" and "+own[b].name, fmt.Sprintf("%q was changed since it was signed", own[a].name), func(files []entry) []entry {
			files[a].data, files[b].data = files[b].data, files[a].data
			return files
		})
	}
	add("insert", "new/file", `"new/file" was added after the signature`, func(files []entry) []entry { return append(files, entry{"new/file", []byte("x")}) })
	add("insert", "../file", `a file is named "../file"`, func(files []entry) []entry { return append(files, entry{"../file", []byte("x")}) })
	out = append(out,
		Manipulation{Kind: "cross-node swap", Of: "bundle", Where: "as a whole", Named: []string{"not the one that is trusted"}, Do: func(path string) error { return copyFile(w.Cross, path) }},
		Manipulation{Kind: "truncate", Of: "bundle", Where: "as a whole", Named: []string{"was cut short"}, Do: func(path string) error {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, data[:len(data)/2], 0o600)
		}},
		Manipulation{Kind: "re-sign with another key", Of: "bundle", Where: "the list of files", Named: []string{"the list of files is not signed with the key"}, Do: func(path string) error { return w.resignBundle(path, false) }},
		Manipulation{Kind: "re-sign with another key", Of: "bundle", Where: "the list of files, key.pub exchanged", Named: []string{"not the one that is trusted"}, Do: func(path string) error { return w.resignBundle(path, true) }},
	)
	return out, nil
}

func find(files []entry, name string) ([]byte, bool) {
	i := slices.IndexFunc(files, func(f entry) bool { return f.name == name })
	if i < 0 {
		return nil, false
	}
	return files[i].data, true
}

// resignBundle signs the list of files with a new key of the same name, and says that it is the log's.
func (w *World) resignBundle(path string, keys bool) error {
	files, err := unzip(path)
	if err != nil {
		return err
	}
	name, _, _ := strings.Cut(w.Key, "+")
	private, public, err := checkpoint.GenerateKey(name)
	if err != nil {
		return err
	}
	_, key, err := checkpoint.Private(private)
	if err != nil {
		return err
	}
	for i, f := range files {
		switch {
		case f.name == keyFile && keys:
			files[i].data = []byte(public + "\n")
		case f.name == attestation:
			var env map[string]any
			if err := json.Unmarshal(f.data, &env); err != nil {
				return err
			}
			kind, _ := env["payloadType"].(string)
			text, _ := env["payload"].(string)
			payload, err := base64.StdEncoding.DecodeString(text)
			if err != nil || kind == "" {
				return errors.New("the attestation is not as it was")
			}
			sig := ed25519.Sign(key, fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(kind), kind, len(payload), payload))
			env["signatures"] = []any{map[string]any{"sig": base64.StdEncoding.EncodeToString(sig)}}
			if files[i].data, err = json.MarshalIndent(env, "", " "); err != nil {
				return err
			}
		}
	}
	return rezip(path, files)
}
