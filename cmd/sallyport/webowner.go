package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"

	"sallyport/audit/index"
	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

// owners tells in whose name something on record was done. Most records have no more than a name: by whose word, and for which account, stands
// where their session or task begins.
type owners struct {
	log, index string
	request    func(id string) (*gateway.ReviewRequest, error)

	mu     sync.Mutex                  // guards opened
	opened map[string]access.Principal // by session or task
}

// mostOpened bounds opened: beyond it all is looked up anew.
const mostOpened = 10000

// own reports whether a record is of what was done in p's name. One that does not say so is not.
func (o *owners) own(ctx context.Context, p access.Principal, rec *access.Record) (bool, error) {
	if p.Name == "" || rec.Principal != p.Name {
		return false, nil
	}
	if rec.Proof != nil {
		return p.Same(access.Principal{Name: rec.Principal, Proof: *rec.Proof}), nil
	}
	ofConfiguration := p.Proof.Issuer == "" // what proves nothing is of nobody whom a provider speaks for
	switch rec.Kind {
	case access.RecordOpen, access.RecordTask:
		return ofConfiguration && !rec.Erased, nil
	case access.RecordReview:
		r, err := o.request(rec.Approval)
		if err == nil {
			return gateway.Asked(p, r), nil
		}
		if !errors.Is(err, gateway.ErrNoReview) {
			return false, err
		}
		var step access.ReviewStep // it was kept for a while only: its session or task began in the same name
		if json.Unmarshal(rec.Review, &step) != nil {
			return false, nil
		}
		return o.began(ctx, p, step.Session)
	case access.RecordErased, access.RecordProposal, access.RecordHold, access.RecordLifted: // they have the name alone
		return false, nil
	}
	if strings.HasPrefix(rec.Session, gateway.SystemSession) { // what belongs to no session: a refused log-in under a name that nobody proved
		return ofConfiguration && !rec.Erased, nil
	}
	return o.began(ctx, p, rec.Session)
}

// began reports whether a session or a task began in p's name.
func (o *owners) began(ctx context.Context, p access.Principal, id string) (bool, error) {
	if id == "" {
		return false, nil
	}
	o.mu.Lock()
	who, ok := o.opened[id]
	o.mu.Unlock()
	if ok {
		return p.Same(who), nil
	}
	fields := []index.Value{{Field: index.Session, Value: id}, {Field: index.Kind, Value: string(access.RecordOpen)}}
	if strings.HasPrefix(id, "task_") {
		fields = []index.Value{{Field: index.Task, Value: id}, {Field: index.Kind, Value: string(access.RecordTask)}}
	}
	page, err := index.New(o.log, o.index, nil).Search(ctx, index.Query{Fields: fields, Limit: 1})
	if err != nil || len(page.Records) == 0 || page.Records[0].Principal == "" {
		return false, err
	}
	who.Name = page.Records[0].Principal
	if proof := page.Records[0].Proof; proof != nil {
		who.Proof = *proof
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.opened) >= mostOpened {
		clear(o.opened)
	}
	o.opened[id] = who
	return p.Same(who), nil
}
