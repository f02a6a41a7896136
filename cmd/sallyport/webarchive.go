package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"sallyport/audit"
	"sallyport/audit/evidence"
	"sallyport/audit/index"
	"sallyport/audit/replay"
	"sallyport/internal/access"
	"sallyport/internal/config"
	"sallyport/internal/gateway"
	"sallyport/internal/web"
)

// archive is the record and the policy files of a configuration for the door for people. At most a few read it at a time: each may take much memory.
func archive(core *gateway.Gateway, cfg *config.Config, log *slog.Logger) *web.Archive {
	r := &webRecord{log: filepath.Join(cfg.DataDir, "log"), index: indexDir(cfg.DataDir), app: &app{out: io.Discard, err: io.Discard, config: cfg.Path}, readers: make(turns, webReaders)}
	r.owners = &owners{log: r.log, index: r.index, request: core.Review, opened: map[string]access.Principal{}}
	p := &webPolicies{core: core, cfg: cfg, judges: make(turns, 1), log: log}
	return &web.Archive{Find: r.find, Replay: r.replay, Evidence: r.evidence, Status: r.status, OnDisk: p.onDisk, Judge: p.judge}
}

const webReaders = 2

type webRecord struct {
	log, index string
	app        *app // reads the configuration and says nothing
	readers    turns
	owners     *owners
}

// turns lets as many at a time do something as it has room for.
type turns chan struct{}

// take waits for a turn; busy is what the others do, for the error.
func (t turns) take(ctx context.Context, busy string) (done func(), err error) {
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	case <-ctx.Done():
		return nil, &access.Error{Kind: access.Unavailable, Message: busy + ": try again in a moment", Err: ctx.Err()}
	}
}

// turn waits until this reader may read.
func (r *webRecord) turn(ctx context.Context) (done func(), err error) {
	return r.readers.take(ctx, "others read the record")
}

func (r *webRecord) find(ctx context.Context, q web.RecordQuery) (out web.RecordPage, err error) {
	done, err := r.turn(ctx)
	if err != nil {
		return out, err
	}
	defer done()
	in := index.Query{Since: q.Since, Until: q.Until, Before: q.Before, Limit: q.Limit}
	for _, w := range q.Words {
		if index.HasWord(w) {
			in.Words = append(in.Words, w)
		}
	}
	for field, value := range map[index.Field]string{index.Principal: q.Principal, index.Actor: q.Actor, index.Session: q.Session, index.Task: q.Task, index.Connection: q.Connection,
		index.Door: q.Door, index.Kind: q.Kind, index.Relation: q.Relation, index.Label: q.Label, index.Decision: q.Decision} {
		if value != "" {
			in.Fields = append(in.Fields, index.Value{Field: field, Value: value})
		}
	}
	x := index.New(r.log, r.index, nil)
	if q.Of != nil {
		in.Fields = append(in.Fields, index.Value{Field: index.Principal, Value: q.Of.Name})
		return r.findOwn(ctx, x, in, *q.Of)
	}
	page, err := look(ctx, x, in)
	if err != nil {
		return out, err
	}
	return web.RecordPage{Records: page.Records, Next: page.Next, Through: page.Through}, nil
}

// mostPages is how many pages are gone through for one that has something of who asks.
const mostPages = 20

// findOwn is find for one person. A page may have fewer records than it has room for, and go on all the same.
func (r *webRecord) findOwn(ctx context.Context, x *index.Index, q index.Query, of access.Principal) (out web.RecordPage, err error) {
	for range mostPages {
		page, err := look(ctx, x, q)
		if err != nil {
			return out, err
		}
		out.Next, out.Through = page.Next, page.Through
		for _, rec := range page.Records {
			own, err := r.owners.own(ctx, of, rec)
			if err != nil {
				return out, err
			}
			if own {
				out.Records = append(out.Records, rec)
			}
		}
		if len(out.Records) > 0 || out.Next == 0 {
			break
		}
		q.Before = out.Next
	}
	return out, nil
}

// look searches, and brings the index up to date first where that can be done.
func look(ctx context.Context, x *index.Index, q index.Query) (*index.Page, error) {
	page, _, err := x.Find(ctx, q, func(uint64) {})
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, index.ErrBusy) {
		page, err = x.Search(ctx, q) // as far as it knows
	}
	return page, err
}

func (r *webRecord) replay(ctx context.Context, w io.Writer, session string, of *access.Principal) error {
	done, err := r.turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	f := audit.Filter{Session: session}
	if of != nil {
		f.Principal = of.Name
		f.Keep = func(rec *access.Record) (bool, error) { return r.owners.own(ctx, *of, rec) }
	}
	recs, err := audit.Collect(among(ctx, r.log, f), f)
	if err != nil {
		return err
	}
	return replay.Write(w, replay.Make(recs, replay.Options{}))
}

func (r *webRecord) evidence(ctx context.Context, w io.Writer, session string) error {
	done, err := r.turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	o := evidenceOptions{app: r.app, scope: evidence.Scope{Session: session}}
	in, let, err := o.input(ctx)
	if err != nil {
		return err
	}
	defer let()
	_, err = evidence.Write(w, in)
	return err
}

func (r *webRecord) status(ctx context.Context) (out []web.StatusLine, err error) {
	done, err := r.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	s, err := (&auditOptions{app: r.app}).readStatus()
	if err != nil {
		return nil, err
	}
	s.lines(time.Now(), func(key, text string) {
		out = append(out, web.StatusLine{Key: strings.TrimSpace(key), Text: text, Problem: key == problemKey})
	})
	return out, nil
}
