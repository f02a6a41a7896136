package index

import (
	"bytes"
	"encoding/binary"
	"slices"

	"go.etcd.io/bbolt"

	"sallyport/audit"
	"sallyport/internal/access"
)

// batch is records of one chunk that are not in the index yet.
type batch struct {
	first, next uint64 // positions
	leaf        []byte // of the last record
	terms       terms
	spans       []*span
	from, to    int64 // times
}

// full is whether a position belongs to another batch: of another chunk.
func (b *batch) full(pos uint64) bool { return b.next != b.first && chunkOf(pos) != chunkOf(b.first) }

func newBatch(first uint64) *batch {
	return &batch{first: first, next: first, terms: newTerms()}
}

// add takes the next record, which must be of the same chunk.
func (b *batch) add(rec *access.Record, at audit.Place, leaf []byte) {
	micros := rec.Time.UnixMicro()
	if n := len(b.spans); n == 0 || spanOf(b.spans[n-1].first) != spanOf(b.next) {
		b.spans = append(b.spans, &span{first: b.next})
	}
	b.spans[len(b.spans)-1].add(micros, at)
	if b.next == b.first {
		b.from, b.to = micros, micros
	}
	b.from, b.to = min(b.from, micros), max(b.to, micros)
	b.terms.add(lowOf(b.next), rec)
	b.leaf = append(b.leaf[:0], leaf...)
	b.next++
}

// terms are positions of one chunk, by term as it is named.
type terms struct {
	lists map[string]*[]uint32
	plans map[string]*planned // by their text: few plans are made, and recorded each time they run
}

// planned is what terms a plan gives to its records.
type planned struct {
	names  []string
	effect string
}

func newTerms() terms { return terms{map[string]*[]uint32{}, map[string]*planned{}} }

func (t terms) plan(rec *access.Record) *planned {
	p := t.plans[string(rec.Plan)]
	if p == nil {
		plan := planOf(rec)
		p = &planned{effect: plan.Effect}
		planFields(&plan, func(f Field, v string) { p.names = append(p.names, string(named(nil, f, v))) })
		t.plans[string(rec.Plan)] = p
	}
	return p
}

// put gives a term to a position, which is not below those before.
func (t terms) put(low uint32, name []byte) (fresh bool) {
	list := t.lists[string(name)]
	if list == nil {
		t.lists[string(name)] = &[]uint32{low}
		return true
	}
	if n := len(*list); (*list)[n-1] == low {
		return false
	}
	*list = append(*list, low)
	return true
}

// add adds a record's terms. Positions come in rising order.
func (t terms) add(low uint32, rec *access.Record) {
	var name []byte
	put := func(f Field, v string) bool {
		name = named(name, f, v)
		return t.put(low, name)
	}
	ownFields(rec, func(f Field, v string) { put(f, v) })
	p := t.plan(rec)
	for _, n := range p.names {
		name = append(name[:0], n...)
		t.put(low, name)
	}
	if d := decision(rec, p.effect); d != "" {
		put(Decision, d)
	}
	for _, of := range rec.Persons {
		put(tag, of)
	}
	over := func(f Field, each func(*access.Record, func(string) bool) bool) bool {
		words, scanned := 0, 0
		return !each(rec, func(text string) bool {
			return eachWord(text, func(w string) bool {
				if words == wordsMost || scanned == scannedMost {
					return false
				}
				if scanned++; put(f, w) {
					words++
				}
				return true
			})
		})
	}
	if over(word, texts) {
		put(cut, "words")
	}
	if over(detail, details) {
		put(cut, "details")
	}
}

// entry is a term with its positions.
type entry struct {
	term term
	list []uint32
}

// sorted gives the terms in the order in which they are on disk.
func (t terms) sorted(h *hasher) []entry {
	out := make([]entry, 0, len(t.lists))
	var name []byte
	for n, list := range t.lists {
		name = append(name[:0], n...)
		out = append(out, entry{h.term(name), *list})
	}
	slices.SortFunc(out, func(a, b entry) int { return bytes.Compare(a.term[:], b.term[:]) })
	return out
}

// store adds the terms to a chunk's sets.
func (t terms) store(tx *bbolt.Tx, h *hasher, chunk uint32, info *chunkInfo) error {
	b := tx.Bucket(termBucket)
	b.FillPercent = 0.9 // entries come in order, chunk after chunk
	var key, value []byte
	for _, e := range t.sorted(h) {
		key = termKey(key, chunk, e.term)
		old := b.Get(key)
		if old == nil {
			value = appendList(value[:0], e.list)
		} else {
			v, sum, ok := unseal(key, old)
			if !ok {
				return damagedf("the checksum of an entry does not fit")
			}
			var err error
			if value, err = with(v, e.list); err != nil {
				return damagedf("%v", err)
			}
			info.sets--
			info.sum ^= sum
		}
		if err := info.put(b, key, value); err != nil {
			return err
		}
	}
	return nil
}

// put stores a set that the chunk does not have.
func (c *chunkInfo) put(b *bbolt.Bucket, key, value []byte) error {
	sealed := seal(key, value)
	c.sets++
	c.sum ^= binary.LittleEndian.Uint32(sealed[len(value):])
	return b.Put(key, sealed)
}

// store puts the batch into the index, of which it is the next part.
func (b *batch) store(tx *bbolt.Tx, h *hasher) error {
	for _, s := range b.spans {
		old, err := loadSpan(tx, spanOf(s.first))
		if err != nil {
			return err
		}
		if old != nil {
			if old.end() != s.first {
				return damagedf("record %d follows on record %d", s.first, old.end()-1)
			}
			s = &span{old.first, append(old.times, s.times...), append(old.places, s.places...)}
		}
		k := spanKey(spanOf(s.first))
		if err := tx.Bucket(spanBucket).Put(k, seal(k, appendSpan(nil, s))); err != nil {
			return err
		}
	}
	chunk := chunkOf(b.first)
	info, err := loadChunk(tx, chunk)
	if err != nil {
		return err
	}
	if info == nil {
		info = &chunkInfo{from: b.from, to: b.to}
	}
	info.from, info.to = min(info.from, b.from), max(info.to, b.to)
	if err := b.terms.store(tx, h, chunk, info); err != nil {
		return err
	}
	return info.store(tx, chunk)
}
