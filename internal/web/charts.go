package web

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"sallyport/internal/gateway"
)

// charted is how many of the newest records and requests charts are drawn of.
const charted = 2000

// chart is a bar chart, drawn as SVG by a template. Each row has a bar, made of parts.
type chart struct {
	ID, Title, None string
	Unit            string
	Bars            []bar
	Kinds           []string // of parts, for the legend
	Height          int
}

type bar struct {
	Name  string
	Parts []part
	Total string
	Y     int
}

type part struct {
	Kind  string // class, and word of the legend
	Value int
	X, W  int
	Text  string
}

const (
	chartLeft, chartWidth, barStep = 150, 480, 26
)

// layBars gives bars their places; the longest is as wide as the chart.
func (c *chart) layBars() {
	most := 1
	for _, b := range c.Bars {
		sum := 0
		for _, p := range b.Parts {
			sum += p.Value
		}
		most = max(most, sum)
	}
	for i := range c.Bars {
		b := &c.Bars[i]
		b.Y = 4 + i*barStep
		x, sum := chartLeft, 0
		for j := range b.Parts {
			p := &b.Parts[j]
			p.X, p.W = x, p.Value*chartWidth/most
			if p.Value > 0 && p.W == 0 {
				p.W = 1
			}
			x, sum = x+p.W, sum+p.Value
			p.Text = fmt.Sprintf("%s, %s: %d", b.Name, p.Kind, p.Value)
		}
		b.Total = fmt.Sprint(sum)
	}
	c.Height = 8 + len(c.Bars)*barStep
}

// EndOf is where the number behind a bar stands.
func (b bar) EndOf() int {
	last := b.Parts[len(b.Parts)-1]
	return last.X + last.W + 6
}

// Middle is the height of a bar's words.
func (b bar) Middle() int { return b.Y + 15 }

// activity draws how much was allowed, held and refused on each day.
func activity(steps []step) chart {
	c := chart{ID: "activity", Title: "Activity by decision", None: "Nothing is recorded.", Unit: "statements a day", Kinds: []string{"allow", "review", "deny"}}
	days := map[string]map[string]int{}
	for _, s := range steps {
		kind := s.Verdict
		switch kind {
		case "failed", "unknown":
			kind = "allow" // it was, and ended otherwise
		case "allow", "review", "deny":
		default:
			continue
		}
		d := s.Time.UTC().Format(time.DateOnly)
		if days[d] == nil {
			days[d] = map[string]int{}
		}
		days[d][kind]++
	}
	names := slices.Sorted(maps.Keys(days))
	for _, d := range names[max(0, len(names)-14):] {
		b := bar{Name: d}
		for _, k := range c.Kinds {
			b.Parts = append(b.Parts, part{Kind: k, Value: days[d][k]})
		}
		c.Bars = append(c.Bars, b)
	}
	c.layBars()
	return c
}

// byLabel draws how many statements used columns of each label.
func byLabel(steps []step) chart {
	c := chart{ID: "labels", Title: "Statements by label", None: "No statement used a labelled column.", Unit: "statements"}
	n := map[string]int{}
	for _, s := range steps {
		for _, l := range s.Plan.Labels {
			n[string(l)]++
		}
	}
	names := slices.SortedFunc(maps.Keys(n), func(a, b string) int { return n[b] - n[a] })
	for _, l := range names[:min(len(names), 12)] {
		c.Bars = append(c.Bars, bar{Name: plain(cut(l)), Parts: []part{{Kind: "statements", Value: n[l]}}})
	}
	c.layBars()
	return c
}

type wait struct {
	most time.Duration
	name string
}

var waits = []wait{{time.Minute, "under 1 min"}, {5 * time.Minute, "1 to 5 min"}, {15 * time.Minute, "5 to 15 min"}, {time.Hour, "15 to 60 min"}, {4 * time.Hour, "1 to 4 h"}, {1 << 62, "over 4 h"}}

// waiting draws how long requests waited for their last word.
func waiting(list []*gateway.ReviewRequest) chart {
	c := chart{ID: "waiting", Title: "Time until a decision", None: "No request has been decided about.", Unit: "requests"}
	n := make([]int, len(waits))
	decided := false
	for _, r := range list {
		if len(r.Votes) == 0 || r.Glass != nil || r.State == "pending" {
			continue
		}
		took := r.Votes[len(r.Votes)-1].At.Sub(r.Created)
		n[slices.IndexFunc(waits, func(w wait) bool { return took < w.most })]++
		decided = true
	}
	if decided {
		for i, w := range waits {
			c.Bars = append(c.Bars, bar{Name: w.name, Parts: []part{{Kind: "requests", Value: n[i]}}})
		}
	}
	c.layBars()
	return c
}

// overviewData fills the overview.
type overviewData struct {
	Charts []chart
	Glass  []gateway.GlassLogin // that nobody has looked at
}

// overview draws what people would rather look at than read, of what the visitor may see.
func (v *visit) overview() error {
	var charts []chart
	if v.s.opt.Archive != nil {
		q := RecordQuery{Limit: charted}
		if !v.auditor {
			q.Of = &v.who
		}
		page, err := v.s.opt.Archive.Find(v.r.Context(), q)
		if err != nil {
			return err
		}
		steps := make([]step, 0, len(page.Records))
		for _, rec := range page.Records {
			steps = append(steps, stepOf(rec))
		}
		charts = append(charts, activity(steps), byLabel(steps))
	}
	list, err := v.s.core.Reviews("", charted, v.sees)
	if err != nil {
		return err
	}
	d := overviewData{Charts: append(charts, waiting(list))}
	if d.Glass, err = v.glassLogins(); err != nil {
		return err
	}
	return v.show("overview", "Overview", "overview", d)
}
