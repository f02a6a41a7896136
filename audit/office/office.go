package office

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sallyport/audit"
	"sallyport/audit/checkpoint"
	"sallyport/audit/evidence"
	"sallyport/internal/access"
)

// Rules say who may give orders, and how long what is kept.
type Rules struct {
	// Groups are those whose people may give orders, after they have shown who they are. Without any, whoever can
	// reach the office may, under any name.
	Groups []string
	// DualControl wants every erasure proposed by one and confirmed by another. It needs Groups.
	DualControl bool
	Retention   audit.Retention
}

// Kind says what an order is.
type Kind string

const (
	Erase   Kind = "erase"
	Propose Kind = "propose"
	Confirm Kind = "confirm"
	Due     Kind = "due" // erase what retention says is due
	Hold    Kind = "hold"
	Lift    Kind = "lift"
)

// Order is what somebody wants done.
type Order struct {
	Kind  Kind         `json:"kind"`
	Scope access.Scope `json:"scope"`
	Trace bool         `json:"trace,omitempty"` // erase who asked, too
	ID    string       `json:"id,omitempty"`    // of the proposal or hold
	Dry   bool         `json:"dry,omitempty"`   // say what would be erased, and change nothing
	// By is who gives it: with Password where people have to show who they are, or else with Token, and then By may
	// be empty.
	By       string `json:"by,omitempty"`
	Password string `json:"password,omitempty"`
	Token    string `json:"token,omitempty"`
	Why      string `json:"why,omitempty"`
}

// Answer is what came of an order.
type Answer struct {
	Erased      []Erasure       `json:"erased,omitempty"`
	Proposal    *audit.Proposal `json:"proposal,omitempty"`
	Hold        *audit.Hold     `json:"hold,omitempty"`
	Certificate []byte          `json:"certificate,omitempty"` // of one erasure
	Copies      []string        `json:"copies,omitempty"`      // bundles and replays in the data directory that were destroyed with it
}

// Erasure says what was erased, or would be.
type Erasure struct {
	ID       string        `json:"id,omitempty"`
	Records  int           `json:"records"`
	Sessions int           `json:"sessions"`
	Gone     int           `json:"gone"`             // erased before
	Held     []access.Held `json:"held,omitempty"`   // stay
	Tagged   int           `json:"tagged,omitempty"` // from which the person's identifier had been taken out: stay
	Untag    bool          `json:"untag,omitempty"`  // ... and nobody finds them by the person any more
	Missed   int           `json:"missed,omitempty"` // were proposed, and are gone or held by now
	More     int           `json:"more,omitempty"`   // match, and were not proposed: they stay
	Position uint64        `json:"position,omitempty"`
}

// Office carries orders out on a log, which takes one after the other. It may be used from any goroutine.
type Office struct {
	dir    string
	log    *audit.Log
	rules  Rules
	verify func(access.Credentials) (access.Principal, error)
}

// New opens an office over a log. verify tells who stands behind credentials.
func New(log *audit.Log, rules Rules, verify func(access.Credentials) (access.Principal, error)) *Office {
	return &Office{dir: log.Dir(), log: log, rules: rules, verify: verify}
}

// Do carries an order out, or refuses it with an *access.Error.
func (o *Office) Do(in Order) (*Answer, error) {
	if in.Dry {
		switch in.Kind {
		case Propose: // what it would propose is what would be erased
			in.Kind = Erase
		case Erase, Confirm:
		default:
			return nil, &access.Error{Kind: access.Unsupported, Code: "0A000", Message: fmt.Sprintf("an order to %s cannot be tried without carrying it out", in.Kind), Hint: "leave --dry-run out; what is due by --before, `sallyport erase --before --dry-run` counts"}
		}
	}
	by, err := o.who(&in)
	if err != nil {
		rec := &access.Record{Time: time.Now().UTC(), Kind: access.RecordRefused, Principal: in.By, Error: "order to " + string(in.Kind) + ": " + err.Error()}
		if e := (*access.Error)(nil); errors.As(err, &e) {
			rec.Error, rec.Code, rec.Hint = "order to "+string(in.Kind)+": "+e.Message, e.Code, e.Hint
		}
		if _, failed := o.log.Append(rec); failed != nil {
			return nil, failed
		}
		return nil, err
	}
	if in.Why = strings.TrimSpace(in.Why); in.Why == "" && !in.Dry && in.Kind != Due && in.Kind != Confirm {
		return nil, &access.Error{Kind: access.Invalid, Code: "22023", Message: "an order needs a reason", Hint: "say why: it stays in the record"}
	}
	a, err := o.carryOut(&in, by)
	if err != nil || in.Dry || in.Kind != Erase && in.Kind != Confirm && in.Kind != Due {
		return a, err
	}
	// Also where nothing was erased now: it may be what an order before this one did not come to.
	a.Copies, err = o.Sweep()
	return a, err
}

// Retain is the order Due, in the background: pause is called every now and then, and an error of it ends the work.
func (o *Office) Retain(now time.Time, pause func() error) ([]*audit.Erased, error) {
	out, err := o.log.Retain(o.rules.Retention, now, pause)
	if err != nil || len(out) == 0 {
		return out, err
	}
	_, err = o.Sweep()
	return out, err
}

func (o *Office) carryOut(in *Order, by string) (*Answer, error) {
	e := audit.ErasureOf(in.Scope, in.Trace)
	switch in.Kind {
	case Erase:
		out, err := o.log.Erase(e, by, in.Why, in.Dry)
		return o.answer(out, nil, err)
	case Propose:
		p, out, err := o.log.Propose(e, by, in.Why)
		if err != nil {
			return nil, err
		}
		return &Answer{Proposal: p, Erased: []Erasure{erasureOf(out)}}, nil
	case Confirm:
		p, out, err := o.log.Confirm(in.ID, by, in.Dry)
		return o.answer(out, p, err)
	case Due:
		if o.rules.Retention == (audit.Retention{}) {
			return nil, &access.Error{Kind: access.Invalid, Code: "22023", Message: "nothing is ever due", Hint: "say how long what is kept: audit.retention in the configuration"}
		}
		all, err := o.log.Retain(o.rules.Retention, time.Now(), nil)
		a := new(Answer)
		for _, out := range all {
			a.Erased = append(a.Erased, erasureOf(out))
		}
		return a, err
	case Hold:
		h, err := o.log.Hold(in.Scope, by, in.Why)
		return &Answer{Hold: h}, err
	case Lift:
		h, err := o.log.Lift(in.ID, by, in.Why)
		return &Answer{Hold: h}, err
	}
	return nil, &access.Error{Kind: access.Invalid, Code: "22023", Message: fmt.Sprintf("%q is no order", in.Kind), Hint: "this program and the one that was asked may be of different versions"}
}

func (o *Office) answer(out *audit.Erased, p *audit.Proposal, err error) (*Answer, error) {
	if err != nil {
		return nil, err
	}
	a := &Answer{Erased: []Erasure{erasureOf(out)}, Proposal: p}
	if out.ID == "" {
		return a, nil
	}
	a.Certificate, err = o.certify(out)
	return a, err
}

func erasureOf(e *audit.Erased) Erasure {
	return Erasure{ID: e.ID, Records: e.Records, Sessions: len(e.Sessions), Gone: e.Gone, Held: e.Held, Tagged: e.Tagged, Untag: e.Untag, Missed: e.Missed, More: e.More, Position: e.Position}
}

// certify signs the record of the erasure with all before it, and makes the certificate.
func (o *Office) certify(out *audit.Erased) ([]byte, error) {
	if _, err := o.log.Checkpoint(); err != nil {
		return nil, fmt.Errorf("the records are erased (%s), and there is no certificate: %w", out.ID, err)
	}
	cert, err := o.sign(out)
	if err != nil { // the key may have been replaced between two looks at it
		cert, err = o.sign(out)
	}
	return cert, err
}

func (o *Office) sign(out *audit.Erased) ([]byte, error) {
	prover, err := audit.OpenProver(o.dir)
	if err != nil {
		return nil, err
	}
	defer prover.Close()
	dir := audit.SigningDir(o.dir)
	key, err := checkpoint.LoadSigner(dir)
	if err != nil {
		return nil, err
	}
	notes, err := os.ReadFile(filepath.Join(dir, checkpoint.NotesFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return evidence.Certify(prover, out.Position, out.Salt, key, notes)
}

// who gives the order.
func (o *Office) who(in *Order) (string, error) {
	if in.Kind == Due || in.Dry { // the configuration orders the one; the other changes nothing
		return in.By, nil
	}
	if in.Kind == Erase && o.rules.DualControl {
		return "", &access.Error{Kind: access.Denied, Code: "42501", Message: "an erasure has to be proposed by one and confirmed by another", Hint: "`sallyport erase --propose`, then somebody else `sallyport erase --confirm ID`"}
	}
	if len(o.rules.Groups) == 0 {
		if o.rules.DualControl || in.By == "" {
			return "", &access.Error{Kind: access.Invalid, Code: "22023", Message: "nobody gives this order", Hint: "say who: it goes into the record"}
		}
		return in.By, nil
	}
	var cred access.Credentials = access.Password{User: in.By, Secret: in.Password}
	if in.Token != "" {
		cred = access.Bearer(in.Token)
	}
	p, err := o.verify(cred)
	switch {
	case err != nil:
		return "", err
	case in.By != "" && in.By != p.Name:
		return "", &access.Error{Kind: access.Denied, Code: "28000", Message: fmt.Sprintf("the token is not one of %s", in.By), Hint: "leave --by out, or give a token of theirs"}
	case p.Kind != access.Human || p.Actor != "":
		return "", &access.Error{Kind: access.Denied, Code: "42501", Message: fmt.Sprintf("%s is an agent, and people give these orders", p.Name), Hint: "ask somebody of " + strings.Join(o.rules.Groups, ", ")}
	case !slices.ContainsFunc(p.Groups, func(g string) bool { return slices.Contains(o.rules.Groups, g) }):
		return "", &access.Error{Kind: access.Denied, Code: "42501", Message: fmt.Sprintf("%s may not give orders about the record", p.Name), Hint: "those may who are in " + strings.Join(o.rules.Groups, ", ")}
	}
	return p.Name, nil
}
