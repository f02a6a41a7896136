package mask

import (
	"fmt"
	"sort"
	"sync"

	"sallyport/internal/access"
)

// Problem is something in the configuration that does not do what its author meant. Nothing becomes
// visible by a problem: what cannot be masked as asked is redacted.
type Problem struct {
	Source  string // file:line of the rule, or the relation concerned
	Message string
	Hint    string
	// Safe says that nothing is refused or left unmasked by it: columns are hidden more than was meant.
	Safe bool
}

func (p Problem) String() string {
	s := p.Message
	if p.Source != "" {
		s = p.Source + ": " + s
	}
	if p.Hint != "" {
		s += " (" + p.Hint + ")"
	}
	return s
}

// Masks says how each label is masked. A label without an entry is redacted.
type Masks struct {
	byLabel map[access.Label]Transform
	trees   sync.Map // SQL of a mask -> *pg.Node, not to be changed
}

// NewMasks checks the configuration's masks. Unlike a mask that does not fit one column, a mask that
// is wrong in itself is an error: it is a typing mistake of somebody who is there to mend it.
func NewMasks(masks []access.Mask) (*Masks, error) {
	m := &Masks{byLabel: make(map[access.Label]Transform, len(masks))}
	for _, c := range masks {
		t, err := newTransform(c)
		if err != nil {
			return nil, err
		}
		if old, ok := m.byLabel[c.Label]; ok {
			return nil, invalid(c, fmt.Sprintf("label %s already has a mask (%s)", c.Label, old.Source), "give each label one mask")
		}
		m.byLabel[c.Label] = t
	}
	return m, nil
}

func newTransform(c access.Mask) (Transform, error) {
	t := Transform{Style: c.Style, Bucket: c.Bucket, Label: c.Label, Source: c.Source}
	switch c.Transform {
	case "redact":
		t.Kind = Redact
	case "null":
		t.Kind = Null
	case "token":
		t.Kind = Token
	case "generalise", "generalize":
		t.Kind = Generalise
	case "partial":
		t.Kind = Partial
	default:
		return t, invalid(c, fmt.Sprintf("unknown transform %q for label %s", c.Transform, c.Label), "use redact, null, token, generalise or partial")
	}
	if c.Label == "" {
		return t, invalid(c, "a mask without a label", "name the label that it masks")
	}
	if why := t.validate(); why != "" {
		return t, invalid(c, fmt.Sprintf("mask of label %s: %s", c.Label, why), "")
	}
	return t, nil
}

func invalid(c access.Mask, msg, hint string) error {
	if c.Source != "" {
		msg = c.Source + ": " + msg
	}
	return &access.Error{Kind: access.Invalid, Code: "F0000", Message: msg, Hint: hint}
}

// For gives the transform for a column with these labels. A derived column (an expression over
// labelled ones) is always redacted, so is one that a label's mask does not fit. Of several labels
// the strictest mask wins.
func (m *Masks) For(col *access.Column, cat *access.Catalog, labels []access.Label, derived bool) Transform {
	var first access.Label
	if len(labels) > 0 {
		first = labels[0]
	}
	if m == nil || derived || len(labels) == 0 {
		return Transform{Label: first, Source: "derived from labelled columns"}
	}
	t := m.strictest(labels)
	if why := t.fits(shapeOf(cat, col)); why != "" {
		return Transform{Label: t.Label, Source: why}
	}
	return t
}

// ForWriter gives the transform for somebody who may write under the column's label: no token, which could be
// compared with the tokens of values of their own choice.
func (t Transform) ForWriter() Transform {
	if t.Kind == Token {
		return Transform{Label: t.Label, Source: "tokens are for those who cannot write under this label"}
	}
	return t
}

// Tokens tells whether columns with this label are shown as tokens where their type allows it.
func (m *Masks) Tokens(l access.Label) bool { return m.label(l).Kind == Token }

// strictest gives the transform of a column with these labels, of which there is at least one, should it fit.
func (m *Masks) strictest(labels []access.Label) Transform {
	t := m.label(labels[0])
	for _, l := range labels[1:] {
		t = stricter(t, m.label(l))
	}
	return t
}

func (m *Masks) label(l access.Label) Transform {
	if t, ok := m.byLabel[l]; ok {
		return t
	}
	return Transform{Label: l, Source: "no mask for this label"}
}

// Misfits lists masks that cannot be applied to a column which carries their label.
func (m *Masks) Misfits(cat *access.Catalog, labels *Labels) []Problem {
	var out []Problem
	for _, c := range labels.All() {
		rel := cat.Relations[c.Column.Relation]
		if rel == nil || rel.Column(c.Column.Column) == nil || c.Derived {
			continue
		}
		col, t := rel.Column(c.Column.Column), m.strictest(c.Labels)
		if why := t.fits(shapeOf(cat, col)); why != "" {
			out = append(out, Problem{
				Source:  t.Source,
				Message: fmt.Sprintf("mask %q of label %s cannot be applied to %s.%s (%s): it is redacted", t, t.Label, c.Column.Relation, c.Column.Column, col.Type),
				Hint:    why,
				Safe:    true,
			})
		}
	}
	return out
}

// Unused lists masks whose label is carried by no column of any database that labels speaks of.
func (m *Masks) Unused(labels []*Labels) []Problem {
	used := make(map[access.Label]bool)
	for _, ls := range labels {
		for _, c := range ls.All() {
			for _, l := range c.Labels {
				used[l] = true
			}
		}
	}
	var out []Problem
	for l, t := range m.byLabel {
		if !used[l] {
			out = append(out, Problem{Source: t.Source, Message: "no column carries label " + string(l), Hint: "check the name: a label without a mask is redacted", Safe: true})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].String() < out[j].String() })
	return out
}
