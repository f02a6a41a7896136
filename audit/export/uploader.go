package export

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"time"

	"sallyport/audit"
)

// lookEvery is how often an uploader looks for segments that were sealed.
var lookEvery = 5 * time.Second

// uploader takes sealed segments, checkpoints and the tree to a bucket. Its cursor is the last record of the segment that
// was taken last, and the size of the last checkpoint.
type uploader struct {
	*keeper
	bucket *bucket
	cursor *cursor
	headAt time.Time // when a checkpoint was taken last
}

func newUploader(c Config, k *keeper) (*uploader, error) {
	b, err := newBucket(c.Bucket)
	if err != nil {
		return nil, err
	}
	k.shared.To = "bucket " + c.Bucket.URL
	return &uploader{keeper: k, bucket: b}, nil
}

func (u *uploader) close() error { return u.bucket.close() }

func (u *uploader) run(ctx context.Context) {
	for u.turn(ctx) {
	}
}

func (u *uploader) turn(ctx context.Context) (more bool) {
	err := u.begin()
	for err == nil {
		err = u.round(ctx)
	}
	return u.end(ctx, err)
}

func (u *uploader) begin() error {
	c, err := loadCursor(u.stateDir, u.config.Name)
	if err != nil {
		return &stopped{err: err, hint: "repair or delete the cursor"}
	}
	tail, err := audit.OpenTail(u.logDir, 1)
	if err != nil {
		return err
	}
	defer tail.Close()
	if c == nil {
		c = &cursor{Log: tail.LogID()}
	}
	if c.Log != tail.LogID() {
		return &stopped{at: c.Position, err: errors.New("the log is another one than the one that was sent until now"),
			hint: "where that is meant, delete the exporter's cursor"}
	}
	u.cursor = c
	u.at(c.Position)
	return nil
}

// round takes what has been sealed since the last, then waits.
func (u *uploader) round(ctx context.Context) error {
	ending := !pause(ctx, 0, u.stop)
	took := false
	sealed, err := audit.Sealed(u.logDir)
	if err != nil {
		return err
	}
	for _, s := range sealed {
		switch {
		case s.Last <= u.cursor.Position:
			continue
		case s.First != u.cursor.Position+1:
			return &stopped{at: u.cursor.Position + 1, err: fmt.Errorf("the log goes on with %s", s.Name), hint: "segments are missing from the log"}
		}
		data, err := os.ReadFile(filepath.Join(u.logDir, s.Name))
		if err != nil {
			return &stopped{at: s.First, err: err, hint: "make the log readable"}
		}
		if err := u.put(ctx, s.Name, data, s.First); err != nil {
			return err
		}
		if err := u.moved(&cursor{Log: u.cursor.Log, Position: s.Last, Head: u.cursor.Head}); err != nil {
			return err
		}
		took = true
	}
	if err := u.heads(ctx, took || ending); err != nil {
		return err
	}
	if ending {
		return errEnded
	}
	u.fine()
	pause(ctx, lookEvery, u.stop)
	return ctx.Err()
}

// moved makes a new cursor durable.
func (u *uploader) moved(c *cursor) error {
	if err := u.keep(c); err != nil {
		return err
	}
	u.cursor = c
	return nil
}

// put puts one object into the bucket, whose name begins with the log's. at is the record that it is about.
func (u *uploader) put(ctx context.Context, name string, data []byte, at uint64) error {
	key := path.Join(u.config.Bucket.Prefix, u.cursor.Log, name)
	for try := 0; ; try++ {
		err := u.bucket.put(ctx, key, data)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case isRejected(err):
			return &stopped{at: at, err: err, hint: "find out who wrote it; to go on, use another prefix"}
		}
		if err := u.again(ctx, try, err); err != nil {
			return err
		}
	}
}
