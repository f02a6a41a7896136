package gateway

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/access"
	"sallyport/sqlguard"
)

// Writer is a principal who sees a label redacted where others see tokens, for they may write under it.
type Writer struct {
	Principal string
	Label     access.Label
	Column    access.ColumnID // one that they may write
}

func (w Writer) String() string {
	return fmt.Sprintf("%s may write %s.%s: tokens of %s are redacted for %[1]s, who could compare them with guesses", w.Principal, w.Column.Relation, w.Column.Column, w.Label)
}

// writers finds them among the principals of the configuration.
func (g *Gateway) writers(db *database, snap *snapshot) []Writer {
	policies := g.policies.Load()
	var out []Writer
	for _, p := range g.listed() {
		masked, guesses := map[access.Label]bool{}, false
		for _, door := range []access.Door{access.DoorPGWire, access.DoorMCP} {
			if sqlguard.Unrestricted(p, db.conf.Name, door, policies).Effect == access.Allow ||
				sqlguard.MayConnect(p, db.conf.Name, door, policies).Effect != access.Allow {
				continue
			}
			guesses = guesses || !sqlguard.LooksUpTokens(p, db.conf.Name, door, false, snap.cat, snap.labels.Columns, db.masks.Tokens, policies)
			for _, id := range sqlguard.MaskedColumns(p, db.conf.Name, door, snap.cat, snap.labels.Columns, policies) {
				for _, l := range snap.labels.Columns(id.Relation)[id.Column] {
					masked[l] = masked[l] || db.masks.Tokens(l)
				}
			}
		}
		for l, id := range sqlguard.Writable(p, db.conf.Name, snap.cat, snap.labels.Columns, policies) {
			if guesses && masked[l] {
				out = append(out, Writer{p.Name, l, id})
			}
		}
	}
	slices.SortFunc(out, func(a, b Writer) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// warnWriters logs them: whoever gave the permission may not have had the masks in mind.
func (g *Gateway) warnWriters() {
	for _, db := range g.dbs {
		if snap := db.snap.Load(); snap != nil {
			for _, w := range g.writers(db, snap) {
				g.logger.Warn("tokens are redacted for a principal who may write under their label",
					"connection", db.conf.Name, "principal", w.Principal, "label", string(w.Label), "column", w.Column.Relation.String()+"."+w.Column.Column)
			}
		}
	}
}
