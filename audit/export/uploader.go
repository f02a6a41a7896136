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

// uploader takes sealed segments to a bucket. Its cursor is the last record of the segment that was taken last.
type uploader struct {
	*keeper
	bucket *bucket
	cursor *cursor
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
	err := u.begin()
	for err == nil {
		err = u.round(ctx)
	}
	u.end(ctx, err)
}

func (u *uploader) begin() error {
	c, err := loadCursor(u.stateDir, u.config.Name)
	if err != nil {
		return &stopped{err: err, hint: "repair or delete the cursor, then restart"}
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
			return &stopped{at: s.First, err: err, hint: "make the log readable, then restart"}
		}
		if err := u.take(ctx, s, data); err != nil {
			return err
		}
	}
	if ending {
		return errEnded
	}
	pause(ctx, lookEvery, u.stop)
	return ctx.Err()
}

// take puts one segment into the bucket.
func (u *uploader) take(ctx context.Context, s audit.Segment, data []byte) error {
	key := path.Join(u.config.Bucket.Prefix, u.cursor.Log, s.Name)
	for try := 0; ; try++ {
		err := u.bucket.put(ctx, key, data)
		switch {
		case err == nil:
			c := &cursor{Log: u.cursor.Log, Position: s.Last}
			if err := u.keep(c); err != nil {
				return err
			}
			u.cursor = c
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case isRejected(err):
			return &stopped{at: s.First, err: err, hint: "find out who wrote it; to go on, use another prefix"}
		}
		if err := u.again(ctx, try, err); err != nil {
			return err
		}
	}
}
