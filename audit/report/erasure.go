package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"sallyport/audit"
	"sallyport/audit/internal/trace"
	"sallyport/internal/access"
)

// ErasureReport says what was erased, by whom and why, and what was kept from it. GDPR article 17.
type ErasureReport struct {
	Basis     Basis     `json:"basis"`
	Erasures  []Erasure `json:"erasures"`
	Open      []Erasure `json:"open_proposals"` // that nobody has confirmed
	Holds     []Hold    `json:"holds"`
	Retention []Setting `json:"retention"` // as configured
	Content   int       `json:"content_gone"`
	Trace     int       `json:"trace_gone"`
	Limits    []string  `json:"limits"`
}

// Erasure is one that was carried out, or proposed.
type Erasure struct {
	ID         string        `json:"id"`
	Time       time.Time     `json:"time"`
	Position   uint64        `json:"position"`
	By         string        `json:"by"`
	ProposedBy string        `json:"proposed_by,omitempty"`
	Proposal   uint64        `json:"proposal,omitempty"` // its position
	Why        string        `json:"why"`
	Scope      string        `json:"scope"`
	Trace      bool          `json:"trace"` // who asked went too
	Records    int           `json:"records"`
	Held       []access.Held `json:"held,omitempty"` // what stayed, by hold
	Retention  bool          `json:"retention"`      // ordered by the configuration
	// Digest is that of the positions, which a certificate of it has too.
	Digest string `json:"positions_sha256,omitempty"`
}

// Hold keeps records from being erased.
type Hold struct {
	ID       string     `json:"id"`
	Since    time.Time  `json:"since"`
	By       string     `json:"by"`
	Why      string     `json:"why"`
	Scope    string     `json:"scope"`
	Lifted   *time.Time `json:"lifted,omitempty"`
	LiftedBy string     `json:"lifted_by,omitempty"`
	Stayed   int        `json:"stayed"` // records that erasures in view would have taken
}

// Erasures lists the orders about the record.
func Erasures(o Options) (*ErasureReport, error) {
	r := &ErasureReport{Erasures: []Erasure{}, Open: []Erasure{}, Holds: []Hold{}, Retention: o.Retention}
	sessions, basis, err := o.read(audit.Filter{}, nil)
	if err != nil {
		return nil, err
	}
	r.Basis = basis
	confirmed := map[uint64]bool{}
	var proposals []Erasure
	stayed := map[string]int{}
	for _, s := range sessions {
		for _, st := range s.Steps {
			for _, rec := range st.Records() {
				switch {
				case trace.Blank(rec):
					r.Trace++
				case rec.Erased:
					r.Content++
				}
			}
			if !trace.IsOrder(st.Kind) {
				continue
			}
			var order access.Order
			if len(st.Order) > 0 && json.Unmarshal(st.Order, &order) != nil {
				return nil, fmt.Errorf("the order in record %d cannot be read", st.Position)
			}
			e := Erasure{ID: order.ID, Time: st.Time.UTC(), Position: st.Position, By: st.Principal, ProposedBy: order.By, Proposal: order.Proposal, Why: st.Reason, Scope: scopeWords(&order),
				Trace: order.Trace, Records: int(st.Rows), Held: order.Held, Retention: st.Principal == audit.RetentionBy, Digest: order.Digest}
			switch st.Kind {
			case access.RecordErased:
				r.Erasures = append(r.Erasures, e)
				confirmed[order.Proposal] = true
				for _, h := range order.Held {
					stayed[h.Hold] += h.Records
				}
			case access.RecordProposal:
				proposals = append(proposals, e)
			case access.RecordHold:
				r.Holds = append(r.Holds, Hold{ID: e.ID, Since: e.Time, By: e.By, Why: e.Why, Scope: e.Scope})
			case access.RecordLifted:
				if i := slices.IndexFunc(r.Holds, func(h Hold) bool { return h.ID == order.ID }); i >= 0 {
					r.Holds[i].Lifted, r.Holds[i].LiftedBy = &e.Time, e.By
				}
			}
		}
	}
	for _, p := range proposals {
		if !confirmed[p.Position] {
			r.Open = append(r.Open, p)
		}
	}
	for i := range r.Holds {
		r.Holds[i].Stayed = stayed[r.Holds[i].ID]
	}
	r.Limits = []string{
		"This is about what the gateway recorded of people. Data in the databases themselves is erased there, and what was asked to be erased there is not known here.",
		"Whom an erasure was about is not told: the record has a keyed hash, and the key is in the certificate (`erase --certificate`). Whether a certificate was handed out is not recorded; one that was can be held against the digest of positions.",
		"Copies outside of the data directory (bundles, replays, exports, backups of keys) are out of reach of an erasure.",
		"Whoever can write the data directory can destroy keys without an order; such records appear as erased without an erasure that names them.",
	}
	return r, nil
}

// scopeWords name what an order is about, without the person.
func scopeWords(order *access.Order) string {
	s := &order.Scope
	var parts []string
	if order.Person != "" {
		parts = append(parts, "a person (not named)")
	}
	for _, p := range [][2]string{{"session ", s.Session}, {"task ", s.Task}} {
		if p[1] != "" {
			parts = append(parts, p[0]+p[1])
		}
	}
	if !s.Before.IsZero() {
		parts = append(parts, "recorded before "+s.Before.UTC().Format(time.RFC3339))
	}
	if len(parts) == 0 {
		return "a person (not named)"
	}
	return list(parts)
}
