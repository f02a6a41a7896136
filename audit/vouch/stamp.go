package vouch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sallyport/audit/internal/durable"
)

// stamping is when a log was stamped last, and when it is to be again.
type stamping struct {
	size   int64     // that was stamped last
	last   time.Time // when
	failed int
	next   time.Time // not before
	err    error
}

const (
	firstRetry = time.Minute
	lastRetry  = time.Hour
)

// due is whether it is time for a stamp on a tree of that size: one that has not grown since needs none.
func (s *stamping) due(size int64, now time.Time) bool {
	return size > s.size && !now.Before(s.next)
}

// resume finds out what was stamped before.
func (s *stamping) resume(dir string) error {
	list, err := stamps(dir)
	if err != nil || len(list) == 0 {
		return err
	}
	s.size = list[len(list)-1]
	info, err := os.Stat(filepath.Join(dir, sizeName(s.size)+tokenSuffix))
	if err == nil {
		s.last = info.ModTime()
	}
	return err
}

// stamps lists the sizes with a token, in their order.
func stamps(dir string) ([]int64, error) {
	files, err := os.ReadDir(dir) // sorted
	if err != nil {
		return nil, err
	}
	var out []int64
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), tokenSuffix)
		if n, is := sizeOf(name); ok && is {
			out = append(out, n)
		}
	}
	return out, nil
}

// stamp has the first authority that answers stamp a checkpoint. What is stamped is on disk before the token is.
func (v *Voucher) stamp(ctx context.Context, msg []byte, size int64) {
	s := &v.stamping
	if s.failed == 0 && time.Since(s.last) < v.opt.StampEvery {
		s.next = s.last.Add(v.opt.StampEvery)
		return
	}
	path := filepath.Join(v.opt.Dir, Folder, sizeName(size))
	var errs []error
	for _, a := range v.opt.Authorities {
		ask, cancel := context.WithTimeout(ctx, stampFor)
		token, stamp, err := a.Stamp(ask, msg)
		cancel()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if err := errors.Join(durable.Replace(path, msg, 0o644), durable.Replace(path+tokenSuffix, token, 0o644)); err != nil {
			errs = append(errs, err)
			break
		}
		if s.err != nil {
			v.opt.Log.Info("checkpoints are timestamped again", "authority", stamp.Authority, "size", size)
		}
		*s = stamping{size: size, last: time.Now(), next: time.Now().Add(v.opt.StampEvery)}
		return
	}
	if ctx.Err() != nil {
		return
	}
	err := errors.Join(errs...)
	if s.err == nil {
		v.opt.Log.Warn("no authority timestamps the checkpoint; they are asked again", "size", size, "error", err)
	}
	wait := lastRetry
	if s.failed < 6 {
		wait = min(firstRetry<<s.failed, lastRetry)
	}
	s.err, s.failed, s.next = err, s.failed+1, time.Now().Add(min(wait, v.opt.StampEvery))
}
