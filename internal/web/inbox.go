package web

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"time"

	"sallyport/internal/gateway"
)

// listed is how many requests are counted, and the most of an answer for programs; onPage is how many of them a page has, for a browser
// takes a second to lay out a thousand. What is older is a page further.
const (
	listed = 1000
	onPage = 50
)

// pollTime is how long a request for news waits for some.
const pollTime = 25 * time.Second

// row is a request in a list.
type row struct {
	*gateway.ReviewRequest
	Mine     bool     // the visitor asked
	Decide   bool     // the visitor's word counts, and is missing
	Missing  []string // groups that have not approved
	SQL      string   // its beginning
	Deadline time.Time
}

// filter is one way to look at requests.
type filter struct{ Name, Title, None string }

var filters = []filter{
	{"waiting", "Waiting for you", "Nothing waits for your decision."},
	{"mine", "My requests", "You have asked for nothing that needs approval."},
	{"glass", "Broken glass", "No broken glass waits to be looked at."},
	{"pending", "Pending", "Nothing is pending that you may see."},
	{"approved", "Approved", "No approval is in force that you may see."},
	{"ended", "Ended", "Nothing has ended that you may see."},
	{"all", "All", "There is nothing that you may see."},
}

// inboxData fills the inbox and the part of it that renews itself.
type inboxData struct {
	Filter  filter
	Filters []filter
	Rows    []row
	Count   int    // requests from the first row on, shown or not
	Seen    string // what the list was made of, for news
	Older   string // where to go on, where there may be more
	Live    bool   // renews itself
	Waiting int    // requests that wait for the visitor
	Glass   int    // log-ins by break glass that an auditor or operator is to look at
	Now     time.Time
}

// sees reports whether the visitor may know of a request: they asked, may decide, have decided, or look at everything.
func (v *visit) sees(r *gateway.ReviewRequest) bool {
	if v.auditor || gateway.Asked(v.who, r) || gateway.Decided(v.who, r) {
		return true
	}
	ok, _ := v.s.core.MayDecide(v.who, r)
	return ok
}

// wanted reports whether the visitor's word is missing.
func (v *visit) wanted(r *gateway.ReviewRequest) bool {
	if r.Glass != nil && r.Glass.Reviewed || r.Glass == nil && (r.State != "pending" || !v.now.Before(r.Expires)) {
		return false
	}
	if gateway.Voted(v.who, r) {
		return false
	}
	ok, _ := v.s.core.MayDecide(v.who, r)
	return ok
}

// matches reports whether a request that the visitor sees is of a filter.
func (v *visit) matches(f string, r *gateway.ReviewRequest) bool {
	switch f {
	case "waiting":
		return v.wanted(r)
	case "mine":
		return gateway.Asked(v.who, r)
	case "glass":
		return r.Glass != nil && !r.Glass.Reviewed
	case "pending":
		return r.State == "pending"
	case "approved":
		return r.State == "approved" || r.State == "claimed"
	case "ended":
		return r.State.Ended()
	}
	return true
}

// lookedAt is how many stored requests are read for one list; what is older is a page further.
const lookedAt = 5000

// reviews lists requests of a filter that the visitor sees, the newest first: at most most of them, made before that of the id before
// where one is given. next is the id to go on before, "" where there are no more.
func (v *visit) reviews(f, before string, most int) (out []*gateway.ReviewRequest, next string, err error) {
	keep := func(r *gateway.ReviewRequest) bool { return v.sees(r) && v.matches(f, r) }
	held := func(list []*gateway.ReviewRequest) {
		out = append(out, slices.DeleteFunc(list, func(r *gateway.ReviewRequest) bool { return !keep(r) || before != "" && r.ID >= before })...)
	}
	switch f { // what is in memory
	case "pending", "approved":
		held(v.s.core.LiveReviews())
	case "glass":
		held(v.s.core.BrokenGlass())
	case "waiting":
		held(slices.DeleteFunc(v.s.core.LiveReviews(), func(r *gateway.ReviewRequest) bool { return r.Glass != nil }))
		held(v.s.core.BrokenGlass())
		slices.SortFunc(out, byID)
	default:
		looked, last := 0, ""
		all, err := v.s.core.Reviews(before, most, func(r *gateway.ReviewRequest) bool {
			looked++
			last = r.ID
			return looked > lookedAt || keep(r) // what is over the bound fills the list, and is dropped
		})
		out = slices.DeleteFunc(all, func(r *gateway.ReviewRequest) bool { return !keep(r) })
		if looked > lookedAt || len(out) == most {
			next = last
		}
		return out, next, err
	}
	if len(out) > most {
		out = out[:most]
		next = out[most-1].ID
	}
	return out, next, nil
}

func (v *visit) inboxData() (*inboxData, error) {
	d := &inboxData{Filter: filters[0], Filters: filters, Now: v.now}
	if name := v.query("state"); name != "" {
		i := slices.IndexFunc(filters, func(f filter) bool { return f.Name == name })
		if i < 0 {
			return nil, errNotFound
		}
		d.Filter = filters[i]
	}
	before := v.query("before")
	list, older, err := v.reviews(d.Filter.Name, before, listed)
	if err != nil {
		return nil, err
	}
	d.Live, d.Older, d.Count = before == "", older, len(list)
	if len(list) > onPage {
		d.Older = list[onPage-1].ID
	}
	seen := sha256.New()
	for _, r := range list {
		one := row{ReviewRequest: r, Mine: gateway.Asked(v.who, r), Decide: v.wanted(r), SQL: beginning(r.Binding.SQL), Deadline: r.Expires}
		if r.State == "pending" {
			one.Missing = r.Missing()
		}
		if r.Grant != nil && r.State == "approved" {
			one.Deadline = r.Grant.Until
		}
		if one.Decide {
			d.Waiting++
		}
		fmt.Fprintln(seen, r.ID, r.Revision, one.Decide)
		if len(d.Rows) < onPage {
			d.Rows = append(d.Rows, one)
		}
	}
	d.Seen = hex.EncodeToString(seen.Sum(nil)[:8])
	return d, nil
}

// beginning is what a list has of a statement: one line.
func beginning(sql string) string {
	const most = 160
	var b []rune
	space := false
	for _, r := range sql {
		if r == ' ' || r == '\n' || r == '\t' || r == '\r' {
			space = len(b) > 0
			continue
		}
		if space {
			b, space = append(b, ' '), false
		}
		if b = append(b, r); len(b) >= most {
			return string(b) + "…"
		}
	}
	return string(b)
}

func (v *visit) inbox() error {
	d, err := v.inboxData()
	if err != nil {
		return err
	}
	glass, err := v.glassLogins()
	if err != nil {
		return err
	}
	d.Glass = len(glass)
	nav := "reviews"
	if d.Filter.Name == "mine" {
		nav = "mine"
	}
	return v.show("inbox", d.Filter.Title, nav, d)
}

// inboxLive answers with the list once it differs from what the visitor has, or with nothing when that takes long.
func (v *visit) inboxLive() error {
	var d *inboxData
	news, err := v.await("", func() (bool, error) {
		var err error
		d, err = v.inboxData()
		return err == nil && d.Seen != v.query("seen"), err
	})
	if err != nil || !news {
		return err
	}
	return v.part("inbox-list", d)
}

// await waits until changed answers true after a step of a request, or of any for id "". Where there is no news, it has answered.
func (v *visit) await(id string, changed func() (bool, error)) (bool, error) {
	timeout := time.NewTimer(pollTime)
	defer timeout.Stop()
	for {
		step := v.s.core.WatchReviews(id)
		if yes, err := changed(); yes || err != nil {
			return yes, err
		}
		select {
		case <-step:
			// Steps come in bursts: one answer does for several.
			select {
			case <-time.After(200 * time.Millisecond):
			case <-v.r.Context().Done():
			}
			v.now = v.s.now()
			continue
		case <-v.session.ended:
			// The page that logs out is on its way elsewhere, and is not to be led there twice: its request ends meanwhile.
			select {
			case <-time.After(time.Second):
			case <-v.r.Context().Done():
			}
			v.s.leadIn(v.w, v.r, true)
			return false, nil
		case <-timeout.C:
		case <-v.s.ending:
		case <-v.r.Context().Done():
		}
		v.w.WriteHeader(http.StatusNoContent)
		return false, nil
	}
}
