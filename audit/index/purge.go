package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"

	"go.etcd.io/bbolt"

	"sallyport/audit"
	"sallyport/audit/internal/durable"
	"sallyport/internal/access"
)

// purge takes the records out of all sets that have lost a key, puts back what can still be read of them, and notes
// in s that it did, and that the file has to be shredded. After a crash it begins again.
func (x *Index) purge(db *bbolt.DB, h *hasher, s *state, gone map[uint64]audit.Gone) error {
	epochs := map[uint64]audit.Gone{}
	for e, g := range gone {
		if s.Gone[e] != g {
			epochs[e] = g
		}
	}
	var p *purging
	past := errors.New("past the index")
	err := audit.ReadGone(x.logDir, epochs, func(rec *access.Record) error {
		if rec.Position >= s.Next {
			return past
		}
		if p != nil && p.chunk != chunkOf(rec.Position) {
			if err := p.store(db, h); err != nil {
				return err
			}
			p = nil
		}
		if p == nil {
			p = &purging{chunk: chunkOf(rec.Position), left: newTerms()}
		}
		p.gone.add(lowOf(rec.Position))
		p.left.add(lowOf(rec.Position), rec)
		return nil
	})
	if err != nil && !errors.Is(err, past) {
		return err
	}
	if p != nil {
		if err := p.store(db, h); err != nil {
			return err
		}
	}
	s.Gone, s.Shred = gone, true
	return db.Update(s.store)
}

// purging is the erased records of one chunk.
type purging struct {
	chunk uint32
	gone  set
	left  terms // that can still be read
}

func (p *purging) store(db *bbolt.DB, h *hasher) error {
	return db.Update(func(tx *bbolt.Tx) error {
		info, err := loadChunk(tx, p.chunk)
		if err != nil {
			return err
		}
		if info == nil {
			return damagedf("it does not know records that it should")
		}
		b := tx.Bucket(termBucket)
		type change struct{ key, value []byte }
		var changes []change // made afterwards: a cursor is lost when its bucket changes
		prefix := chunkKey(p.chunk)
		c := b.Cursor()
		for k, sealed := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, sealed = c.Next() {
			v, sum, ok := unseal(k, sealed)
			if !ok {
				return damagedf("an entry cannot be read")
			}
			rest, had, err := without(v, &p.gone)
			if err != nil {
				return damagedf("%v", err)
			}
			if !had {
				continue
			}
			info.sets--
			info.sum ^= sum
			changes = append(changes, change{bytes.Clone(k), rest})
		}
		for _, ch := range changes {
			if ch.value == nil {
				err = b.Delete(ch.key)
			} else {
				err = info.put(b, ch.key, ch.value)
			}
			if err != nil {
				return err
			}
		}
		if err := p.left.store(tx, h, p.chunk, info); err != nil {
			return err
		}
		return info.store(tx, p.chunk)
	})
}

// shred puts a copy without free pages in the place of the file, and zeros over what was the file. The caller has the
// lock, and closes db without using it again.
func (x *Index) shred(db *bbolt.DB, s *state) error {
	temp, path := x.path(tempName), x.path(fileName)
	dst, err := bbolt.Open(temp, 0o600, &bbolt.Options{NoSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	err = bbolt.Compact(dst, db, 64<<20)
	if err == nil {
		s.Shred = false
		err = dst.Update(s.store)
	}
	if err == nil {
		err = dst.Sync()
	}
	if e := dst.Close(); err == nil {
		err = e
	}
	if err != nil {
		return errors.Join(err, remove(temp))
	}
	old, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer old.Close()
	if err := durable.Rename(temp, path); err != nil {
		return err
	}
	return blank(old)
}

// check reads the whole file and compares its checksums.
func check(tx *bbolt.Tx) error {
	sums := map[uint32]*chunkInfo{}
	at := func(chunk uint32) *chunkInfo {
		if sums[chunk] == nil {
			sums[chunk] = new(chunkInfo)
		}
		return sums[chunk]
	}
	err := tx.Bucket(termBucket).ForEach(func(k, sealed []byte) error {
		_, sum, ok := unseal(k, sealed)
		if !ok || len(k) != 12 {
			return damagedf("an entry cannot be read")
		}
		info := at(binary.BigEndian.Uint32(k))
		info.sets++
		info.sum ^= sum
		return nil
	})
	if err != nil {
		return err
	}
	next := uint64(1)
	err = tx.Bucket(spanBucket).ForEach(func(k, _ []byte) error {
		s, err := loadSpan(tx, binary.BigEndian.Uint64(k))
		if err != nil {
			return err
		}
		if s.first != next {
			return damagedf("record %d follows on record %d", s.first, next-1)
		}
		next = s.end()
		return nil
	})
	if err != nil {
		return err
	}
	for chunk := uint32(0); chunk <= chunkOf(next-1); chunk++ {
		info, err := loadChunk(tx, chunk)
		if err != nil {
			return err
		}
		if have := at(chunk); info == nil && next > 1 || info != nil && (info.sets != have.sets || info.sum != have.sum) {
			return damagedf("entries are missing among records %d to %d", posOf(chunk, 0), posOf(chunk, chunkSize-1))
		}
	}
	return nil
}
