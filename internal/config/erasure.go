package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"sallyport/internal/access"
)

// Erasure says who may have records erased or held.
type Erasure struct {
	// Groups are those whose people may, after they have shown who they are. Without any, whoever can write the data
	// directory may, under any name.
	Groups []string `yaml:"groups"`
	// DualControl wants one of them to propose an erasure, and another to confirm it within a day.
	DualControl bool `yaml:"dual_control"`
}

// Retention says how long the classes of what is recorded are kept. Without a span, for good.
type Retention struct {
	// Content is statements, parameters, reasons, released rows and errors.
	Content Span `yaml:"content"`
	// Trace is who asked, under which policy, with what outcome. It is kept as long as Content at least.
	Trace Span `yaml:"trace"`
}

// Span is a time.Duration written like 90d, 12w or 5y. A year has 365 days.
type Span time.Duration

const (
	day       = 24 * time.Hour
	mostYears = 100
)

// UnmarshalYAML reads spans like 90d.
func (s *Span) UnmarshalYAML(n *yaml.Node) error {
	for unit, span := range map[string]time.Duration{"h": time.Hour, "d": day, "w": 7 * day, "y": 365 * day} {
		if number, ok := strings.CutSuffix(n.Value, unit); ok {
			if v, err := strconv.ParseUint(number, 10, 32); err == nil && v > 0 && v <= uint64(mostYears*365*day/span) {
				*s = Span(time.Duration(v) * span)
				return nil
			}
		}
	}
	return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: `%s` is not a span of time like 90d, 12w or 5y, of at most %d years", n.Line, n.Value, mostYears)}}
}

func (c *Config) erasure(d *document) {
	e, r := c.File.Audit.Erasure, c.File.Audit.Retention
	line := func(path ...string) int { return d.line(append([]string{"audit"}, path...)...) }
	able := map[string]bool{} // who could give an order
	for i, g := range e.Groups {
		if !nameForm.MatchString(g) {
			d.add(line("erasure", "groups", strconv.Itoa(i)), fmt.Sprintf("`%s` cannot be a group's name", g), nameHint)
		}
	}
	for _, p := range c.Principals {
		if p.Kind == access.Human && slices.ContainsFunc(p.Groups, func(g string) bool { return slices.Contains(e.Groups, g) }) {
			able[p.Name] = true
		}
	}
	switch {
	case e.DualControl && len(e.Groups) == 0:
		d.add(line("erasure", "dual_control"), "`dual_control` without `groups`: two who do not show who they are may be one", "name the groups whose people may have records erased: `groups: [dpo]`")
	case e.DualControl && len(able) < 2:
		c.warn(line("erasure", "dual_control"), fmt.Sprintf("nothing can be erased: two people of %s have to agree, and the configuration has %d", quoteList(e.Groups), len(able)), "`sallyport principal add NAME --group "+e.Groups[0]+"`")
	case len(e.Groups) > 0 && len(able) == 0:
		c.warn(line("erasure", "groups"), "nothing can be erased: nobody is in "+quoteList(e.Groups), "`sallyport principal add NAME --group "+e.Groups[0]+"`")
	}
	if r.Trace != 0 && r.Trace < r.Content {
		d.add(line("retention", "trace"), "who asked is to go before what was asked", "content is kept no longer than trace")
	}
}
