package twin

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"sallyport/evals/doors"
	"sallyport/evals/wire"
)

// comparer decides whether two sides' answers are the same to a principal of its kind.
type comparer struct {
	kind Kind
	// Token twins: the first side's tokens with the second side's for the same value, and a copy of
	// each side that really holds what the gateway shows.
	rename     map[string]string
	modelA     *model
	modelB     *model
	contradict string // two tokens of one side that stand for one of the other
}

func (c *comparer) close() {
	for _, m := range []*model{c.modelA, c.modelB} {
		if m != nil {
			m.close()
		}
	}
}

func (c *comparer) compare(ctx context.Context, d doors.Door, s doors.Statement, a, b wire.Answer) (verdict, why string) {
	follow := d.MCP() && c.modelA != nil && !doors.Reads(s) // what is written there stays: the copies have to go along
	likeA := follow && c.modelA.agrees(ctx, d, s, a)
	likeB := follow && c.modelB.agrees(ctx, d, s, b)
	if a.Text() == b.Text() {
		return Same, ""
	}
	if c.kind != Token {
		return Different, wire.Parting(a.Lines, b.Lines)
	}
	renamed := c.apply(a.Lines)
	if strings.Join(renamed, "\n") == b.Text() || wire.Sorted(renamed) == wire.Sorted(b.Lines) {
		return Renamed, ""
	}
	// What depends on the bytes of a token (its order, a part of it, a hash) differs without being a
	// leak, if the masked databases themselves give these answers.
	if likeA && likeB || !follow && c.modelA != nil && c.modelA.agrees(ctx, d, s, a) && c.modelB.agrees(ctx, d, s, b) {
		return TokenBytes, ""
	}
	return Different, wire.Parting(renamed, b.Lines)
}

// tokens are text tokens, uuids, and integers long enough to be no other number.
var tokens = regexp.MustCompile(`tok_[a-z]{12,24}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\d{6,}`)

func (c *comparer) apply(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = tokens.ReplaceAllStringFunc(l, func(t string) string {
			if to, ok := c.rename[t]; ok {
				return to
			}
			return t
		})
	}
	return out
}

// learn reads every labelled column through both doors in the same order and pairs the tokens up.
func (c *comparer) learn(ctx context.Context, w *World) error {
	c.rename = map[string]string{}
	back := map[string]string{}
	for _, t := range tables(w) {
		for _, col := range t.labelled {
			sql := fmt.Sprintf("select %s from %s order by %s", ident(col), t.sql, t.key)
			a, b := readColumn(ctx, w.A.Door(), sql), readColumn(ctx, w.B.Door(), sql)
			if len(a) != len(b) {
				return fmt.Errorf("%s: %d values on one side, %d on the other", sql, len(a), len(b))
			}
			for i := range a {
				ta, tb := tokens.FindAllString(a[i], -1), tokens.FindAllString(b[i], -1)
				for j := range min(len(ta), len(tb)) {
					if old, ok := c.rename[ta[j]]; ok && old != tb[j] {
						c.contradict = fmt.Sprintf("%s: %s stands for %s and for %s", sql, ta[j], old, tb[j])
					}
					if old, ok := back[tb[j]]; ok && old != ta[j] {
						c.contradict = fmt.Sprintf("%s: %s stands for %s and for %s", sql, tb[j], old, ta[j])
					}
					c.rename[ta[j]], back[tb[j]] = tb[j], ta[j]
				}
			}
		}
	}
	if c.contradict != "" {
		fmt.Println("the renaming is not consistent:", c.contradict)
	}
	var err error
	if c.modelA, err = newModel(ctx, w, w.A, false); err != nil {
		return fmt.Errorf("masked copy of the first twin: %w", err)
	}
	if c.modelB, err = newModel(ctx, w, w.B, true); err != nil {
		return fmt.Errorf("masked copy of the second twin: %w", err)
	}
	return nil
}
