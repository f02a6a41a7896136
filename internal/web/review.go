package web

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

// reviewData fills the page of a request.
type reviewData struct {
	*gateway.ReviewRequest
	SQL       sqlText
	Inner     []sqlText
	Values    []value
	Needs     []need
	Mine      bool
	Decide    bool   // the visitor's word counts and is missing
	Retract   bool   // it is approved, by others or by the visitor, who can take that back
	WhyNot    string // why it does not count
	Fresh     bool   // the visitor has proved a short time ago who they are
	Provider  string // where they do so, if not by a password here
	First     *gateway.ReviewVote
	Form      decision
	Error     string
	Purposes  []access.Purpose
	NeedPurp  bool
	Similar   []*gateway.ReviewRequest
	Notes     []gateway.ReviewNote
	Preview   *preview // where one was asked for, or made by itself
	NoPreview string   // why it could not be made
	Seen      string   // revision, for news
	Deadline  time.Time
	Least     int // characters of a justification
	MostUses  int
	Times     []choice
	Now       time.Time
}

// value is a constant or a parameter of the statement, in the order of a grant's ranges.
type value struct {
	Index int
	Name  string
	Type  string // of a parameter, as the database takes it
	gateway.ReviewValue
	Binary bool // it was sent in binary
	Range  rangeForm
}

// need is a group that has to approve.
type need struct {
	gateway.ReviewNeed
	Quorum  int
	Missing int
}

type choice struct{ Value, Text string }

var times = []choice{{"15m", "15 minutes"}, {"1h", "1 hour"}, {"4h", "4 hours"}, {"8h", "8 hours"}, {"24h", "24 hours"}}

// ask gives the request of the address, if the visitor may know of it.
func (v *visit) ask() (*gateway.ReviewRequest, error) {
	r, err := v.s.core.Review(v.r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if !v.sees(r) {
		return nil, errNoReview
	}
	return r, nil
}

func (v *visit) review() error {
	r, err := v.ask()
	if err != nil {
		return err
	}
	if err := v.viewedRequest(r); err != nil {
		return err
	}
	d, err := v.reviewData(r)
	if err != nil {
		return err
	}
	if back := v.session.draft; back != nil && back.review == r.ID && v.now.Sub(back.at) < flowTime {
		d.fill(back.form)
	}
	return v.show("review", "Request "+r.ID, "reviews", d)
}

// fill puts a form on the page as it was filled in.
func (d *reviewData) fill(form decision) {
	d.Form = form
	for i := range d.Values {
		if i < len(form.Ranges) {
			d.Values[i].Range = form.Ranges[i]
		}
	}
}

func (v *visit) reviewData(r *gateway.ReviewRequest) (*reviewData, error) {
	d := &reviewData{ReviewRequest: r, Mine: gateway.Asked(v.who, r), Decide: v.wanted(r), Fresh: v.fresh(r.ID), Provider: v.session.provider, Now: v.now, Purposes: v.s.opt.Purposes,
		NeedPurp: v.s.opt.NeedPurpose, Seen: strconv.FormatUint(r.Revision, 10), Deadline: r.Expires, Least: gateway.LeastReviewJustification, MostUses: gateway.MostReviewUses, Times: times}
	var may bool
	may, d.WhyNot = v.s.core.MayDecide(v.who, r)
	d.Retract = may && (r.State == "approved" || r.State == "pending" && v.now.Before(r.Expires) && gateway.Voted(v.who, r))
	names := namesOf(r)
	d.SQL = layout(r.Binding.SQL, names)
	for _, inner := range r.Binding.Inner {
		d.Inner = append(d.Inner, layout(inner, names))
	}
	for i, val := range r.Values() {
		shown := value{Index: i, Name: fmt.Sprintf("constant %d", i+1), ReviewValue: val}
		if n := i - len(r.Subject.Constants); n >= 0 {
			p := r.Binding.Params[n]
			shown.Name, shown.Type, shown.Binary = fmt.Sprintf("parameter $%d", n+1), p.Named, p.Binary
		}
		d.Values = append(d.Values, shown)
	}
	missing := map[string]int{}
	for _, g := range r.Missing() {
		missing[g]++
	}
	for _, n := range r.Needs {
		d.Needs = append(d.Needs, need{ReviewNeed: n, Quorum: max(n.Quorum, 1), Missing: missing[n.Group]})
	}
	for i := range r.Votes {
		if r.Votes[i].Verdict == "approve" && !r.Votes[i].Review {
			d.First = &r.Votes[i]
			break
		}
	}
	if r.Grant != nil && r.State == "approved" {
		d.Deadline = r.Grant.Until
	}
	look, err := v.look(r)
	if err != nil {
		return nil, err
	}
	if look != nil {
		d.Notes = look.Notes
	}
	if p := v.s.core.PreviewMade(v.who, r); p != nil {
		d.Preview = &preview{p, int(p.Affected)}
	}
	d.Similar, err = v.similar(r)
	d.Form = decision{Mode: "once", Until: "1h", Uses: "10", Relations: r.Subject.Relations, Columns: r.Subject.Columns}
	return d, err
}

// namesOf are the names that a statement's text is marked at: labelled columns, and what it writes to.
func namesOf(r *gateway.ReviewRequest) []string {
	names := map[string]bool{}
	last := func(s string) { names[strings.ToLower(strings.Trim(s[strings.LastIndexByte(s, '.')+1:], `"`))] = true }
	for _, c := range slices.Concat(r.Subject.Masked, r.Subject.Columns) {
		last(c)
	}
	for _, use := range r.Subject.Relations {
		if verb, name, ok := strings.Cut(use, " "); ok && verb != "select" && verb != "read" {
			last(name)
		}
	}
	return slices.Sorted(maps.Keys(names))
}

const (
	similarShown    = 5
	similarLookedAt = 2000
)

// similar lists the newest requests of the same form that the visitor may know of, whoever asked.
func (v *visit) similar(r *gateway.ReviewRequest) ([]*gateway.ReviewRequest, error) {
	if r.Subject.Fingerprint == "" {
		return nil, nil
	}
	same := func(o *gateway.ReviewRequest) bool {
		return o.ID != r.ID && o.Subject.Fingerprint == r.Subject.Fingerprint && o.Binding.Connection == r.Binding.Connection && v.sees(o)
	}
	looked := 0
	list, err := v.s.core.Reviews("", similarShown, func(o *gateway.ReviewRequest) bool {
		looked++
		return looked > similarLookedAt || same(o) // what is over the bound fills the list, and is dropped
	})
	return slices.DeleteFunc(list, func(o *gateway.ReviewRequest) bool { return !same(o) }), err
}

// reviewLive answers with where a request stands once that changes.
func (v *visit) reviewLive() error {
	r, err := v.ask()
	if err != nil {
		return err
	}
	news, err := v.await(r.ID, func() (bool, error) {
		r, err = v.ask()
		return err == nil && strconv.FormatUint(r.Revision, 10) != v.query("seen"), err
	})
	if err != nil || !news {
		return err
	}
	d, err := v.reviewData(r)
	if err != nil {
		return err
	}
	return v.part("review-state", d)
}

// statement is the text as it was asked, every byte, to take away.
func (v *visit) statement() error {
	r, err := v.ask()
	if err != nil {
		return err
	}
	if err := v.viewedRequest(r); err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s.sql"`, r.ID)) // ids are hexadecimal
	h.Set("Content-Length", strconv.Itoa(len(r.Binding.SQL)))
	_, err = v.w.Write([]byte(r.Binding.SQL))
	if err != nil {
		v.s.log.Debug("statement not sent whole", "door", "web", "error", err)
	}
	return nil
}

// byID orders requests, the newest first.
func byID(a, b *gateway.ReviewRequest) int { return -cmp.Compare(a.ID, b.ID) }
