package audit

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"sallyport/internal/access"
)

// An identifier that was taken out of a record's texts leaves a tag in it, by which whoever has the keys and knows the
// identifier finds the record. The tag is a hash of the identifier under a key of its own, a leaf of a tree of keys
// (keytree.go) at a place that the identifier itself gives. So nothing is written when somebody is named for the first time;
// and when a person's leaf is gone nobody can make their tag again, out of all that is left, while the records stay.

const (
	personsName = "persons" + keySuffix // beside the keys of records
	// personsNumber is what the wrapping of that file is bound to: epochs are counted from 1.
	personsNumber = 0
	// personDepth is the height of its trees: among 2^48 leaves two people hardly ever have the same, of which one would
	// go with the other's.
	personDepth = 48
	tagLen      = 12   // bytes of a tag
	tagsKept    = 4096 // tags that are remembered
)

// personKeys is the file of the keys of people.
type personKeys struct {
	Secret []byte `json:"secret"` // of where somebody's leaf is
	// Trees hold the keys. A person has the key of the first tree that still has their leaf: who was erased and is named
	// again has another key than before.
	Trees []keyTree `json:"trees"`
}

// personLeaf is the key of a person.
type personLeaf struct {
	Tree int    `json:"tree"`
	Leaf uint64 `json:"leaf"`
}

func newTree() keyTree {
	root := make([]byte, len(key{}))
	rand.Read(root)
	return keyTree{{Key: root}}
}

func readPersons(path string) (*personKeys, error) {
	data, err := loadKeys(path, personsNumber)
	if err != nil {
		return nil, err
	}
	return parsePersons(data, path)
}

func parsePersons(data []byte, name string) (*personKeys, error) {
	k := new(personKeys)
	if err := json.Unmarshal(data, k); err != nil || len(k.Secret) != sha256.Size || len(k.Trees) == 0 {
		return nil, fmt.Errorf("%s is not the keys of people", name) // without err, which may quote a key
	}
	for _, t := range k.Trees {
		if err := t.check(personDepth); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return k, nil
}

// place says where the key of an identifier in its normal form is, by a hash under the secret of the keys.
func place(h hash.Hash, form string) (at [sha256.Size]byte) {
	h.Reset()
	h.Write([]byte(form))
	h.Sum(at[:0])
	return at
}

// tag gives the tag of an identifier in its normal form, whose place is given, and where its key is.
func (k *personKeys) tag(form string, at [sha256.Size]byte) (string, personLeaf) {
	leaf := binary.BigEndian.Uint64(at[:]) >> (64 - personDepth)
	for i, t := range k.Trees {
		if key, err := t.leaf(personDepth, leaf); err == nil {
			h := hmac.New(sha256.New, key[:])
			h.Write([]byte("sallyport person tag "))
			h.Write([]byte(form)) // so that two people with one leaf have two tags
			return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:tagLen]), personLeaf{i, leaf}
		}
	}
	return "", personLeaf{}
}

// of gives the tags that an identifier may have left, by the forms that it may have been taken for.
func (k *personKeys) of(text string) map[string]personLeaf {
	out := map[string]personLeaf{}
	h := hmac.New(sha256.New, k.Secret)
	for _, form := range forms(text) {
		if tag, at := k.tag(form, place(h, form)); tag != "" {
			out[tag] = at
		}
	}
	return out
}

// without gives the keys without some leaves: twice is once.
func (k *personKeys) without(leaves []personLeaf) *personKeys {
	out := &personKeys{k.Secret, slices.Clone(k.Trees)}
	for _, l := range leaves {
		if l.Tree < len(out.Trees) {
			out.Trees[l.Tree] = out.Trees[l.Tree].without(personDepth, l.Leaf)
		}
		if _, ok := out.Trees[len(out.Trees)-1].find(personDepth, l.Leaf); !ok {
			out.Trees = append(out.Trees, newTree())
		}
	}
	return out
}

// persons gives tags to records that are written. It may be used from any goroutine.
type persons struct {
	path string
	mu   sync.Mutex
	keys *personKeys
	hash hash.Hash                    // under the secret of keys
	tags map[[sha256.Size]byte]string // by place
}

// openPersons reads the keys of people, or makes them where there are none.
func openPersons(dir string) (*persons, error) {
	p := &persons{path: filepath.Join(dir, keysName, personsName), tags: map[[sha256.Size]byte]string{}}
	var err error
	if p.keys, err = readPersons(p.path); errors.Is(err, fs.ErrNotExist) {
		p.keys = &personKeys{make([]byte, sha256.Size), []keyTree{newTree()}}
		rand.Read(p.keys.Secret)
		err = storeKeys(p.path, personsNumber, p.keys)
	}
	if err != nil {
		return nil, err
	}
	p.hash = hmac.New(sha256.New, p.keys.Secret)
	return p, nil
}

// of gives the tags of identifiers, each once, in an order that says nothing of them.
func (p *persons) of(ids []access.Identifier) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, id := range ids {
		form := formOf(id)
		if form == "" {
			continue
		}
		at := place(p.hash, form)
		tag, ok := p.tags[at]
		if !ok {
			if tag, _ = p.keys.tag(form, at); len(p.tags) >= tagsKept {
				clear(p.tags)
			}
			p.tags[at] = tag
		}
		out = append(out, tag)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// puncture destroys keys, and forgets the tags.
func (p *persons) puncture(leaves []personLeaf) error {
	if len(leaves) == 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	left := p.keys.without(leaves)
	if err := replaceKeys(p.path, func() error { return storeKeys(p.path, personsNumber, left) }); err != nil {
		return err
	}
	p.keys = left
	clear(p.tags)
	return nil
}

// tagsOf gives the tags that an identifier may have left in the records of the log in dir; none where its keys of people
// are not there.
func tagsOf(dir, text string) (map[string]personLeaf, error) {
	k, err := readPersons(filepath.Join(dir, keysName, personsName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, openFailed(dir, err)
	}
	return k.of(text), nil
}

// PersonTags gives the tags (access.Record.Persons) that an identifier of somebody has in the log in dir, if it is in it
// and the detectors had taken it out: an identifier can be of several kinds. It reads beside a running gateway.
func PersonTags(dir, text string) ([]string, error) {
	tags, err := tagsOf(dir, text)
	return sortedKeys(tags), err
}
