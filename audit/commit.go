package audit

import (
	"path/filepath"
	"time"

	"sallyport/internal/access"
)

// commit makes b durable. An error is final for the log: what is in the file is then unknown, and
// retrying a failed fsync proves nothing, because the kernel may have dropped the pages.
func (l *Log) commit(b *batch) error {
	if l.used+int64(len(b.buf)) > l.room && l.first != b.marks[0].Position {
		if err := l.roll(b); err != nil {
			return l.fail(err)
		}
	} else {
		if err := writeAll(l.seg, b.buf, l.used); err != nil {
			return l.fail(err)
		}
		if err := l.seg.Sync(); err != nil {
			return l.fail(err)
		}
		l.used += int64(len(b.buf))
	}
	l.trees.addFrames(b.buf)
	for i := range b.marks {
		l.state.apply(&b.marks[i])
	}
	l.space.set(l.room, l.used)
	if l.filling == nil && l.used > l.room/2 {
		l.prepare()
	}
	return nil
}

func (l *Log) fail(err error) *access.Error {
	l.log.Error("audit log failed", "dir", l.dir, "segment", segmentName(l.first), "error", err)
	return writeFailed(err)
}

// roll begins a segment with b as its first batch. Header and batch are on disk before the segment
// gets its name, so a segment with a name always has a good header, and all but the first of a log
// have a record.
func (l *Log) roll(b *batch) error {
	h := header{
		First: b.marks[0].Position, Created: time.Now(), LogID: l.logID, After: l.first, Root: l.trees.heads().all.Hash, State: l.state.list(),
	}
	next, err := l.prepared()
	if err != nil {
		return err
	}
	seg, head, err := l.begin(next, &h, b.buf)
	if err != nil {
		return err
	}
	if err := l.seg.Close(); err != nil {
		l.log.Warn("audit segment did not close", "segment", segmentName(l.first), "error", err)
	}
	l.seg, l.first, l.room = seg, h.First, h.Size
	l.used = int64(len(head))
	return nil
}

// begin writes header and first frames to a filled file and gives it its name. head is all it wrote.
func (l *Log) begin(next filled, h *header, frames []byte) (seg file, head []byte, err error) {
	h.Size = next.size
	head, err = appendHeader(nil, h)
	if err == nil {
		head = append(head, frames...)
		err = writeAll(next.file, head, 0)
	}
	if err == nil {
		err = next.file.Sync()
	}
	if err == nil {
		err = l.disk.Rename(l.path(spareName), l.path(segmentName(h.First)))
	}
	if err != nil {
		next.file.Close()
		return nil, nil, err
	}
	return next.file, head, nil
}

func (l *Log) path(name string) string { return filepath.Join(l.dir, name) }
