package gateway

import (
	"context"
	"strings"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway/internal/upstream"
	"sallyport/mask"
	"sallyport/mask/classify"
)

// ClassifyOptions bound what is read of an upstream.
type ClassifyOptions struct {
	Rows    int           // of a table; 0 means 500
	Timeout time.Duration // of a statement; 0 means 5 s
	// Known are columns that need no proposal.
	Known map[access.ColumnID]bool
	// Progress is told before each table, and once at the end with table empty.
	Progress func(done, total int, table access.Name)
}

// sampleChars is how much of a value is looked at.
const sampleChars = 1000

// Classification is what Classify found.
type Classification struct {
	Proposals []ColumnProposal // in the catalog's order
	Skipped   []SkippedTable
	Tables    int
}

// ColumnProposal is the proposal for one column. No value of the database is in it.
type ColumnProposal struct {
	Column access.ColumnID
	Type   string
	classify.Proposal
}

// SkippedTable is a table, or some columns of it, of which no value was read.
type SkippedTable struct {
	Table   access.Name
	Columns []string // empty: the whole table
	Why     string
}

// Classify reads a sample of every table behind a connection that has columns nobody has judged, and proposes labels
// for these. It reads raw values with the connection's own role: that is the operator's to do, and no door leads here.
// The values stay inside: what comes back are words and counts.
func (g *Gateway) Classify(ctx context.Context, connection string, opt ClassifyOptions) (*Classification, error) {
	if opt.Rows <= 0 {
		opt.Rows = 500
	}
	if opt.Timeout <= 0 {
		opt.Timeout = 5 * time.Second
	}
	db := g.dbs[connection]
	if db == nil {
		return nil, &access.Error{Kind: access.Invalid, Message: "there is no connection " + connection, Hint: "the configuration names them"}
	}
	snap, err := db.load()
	if err != nil {
		return nil, err
	}
	var tables []upstream.SampleTable
	for _, u := range snap.labels.Unjudged() {
		if u.Listed || opt.Known[u.Column] {
			continue
		}
		rel := snap.cat.Relations[u.Column.Relation]
		if n := len(tables); n == 0 || tables[n-1].Name != rel.Name {
			tables = append(tables, upstream.SampleTable{OID: rel.OID, Name: rel.Name})
		}
		t, col := &tables[len(tables)-1], rel.Column(u.Column.Column)
		_, form := kindOfType(snap.cat, col.TypeOID)
		if rel.Kind == access.ForeignTable {
			form = upstream.Unread // another server, with bounds of its own
		}
		t.Columns = append(t.Columns, upstream.SampleColumn{Num: col.Num, Name: col.Name, Form: form})
	}
	out := &Classification{Tables: len(tables)}
	progress := func(i int) {
		if opt.Progress == nil {
			return
		}
		next := access.Name{}
		if i < len(tables) {
			next = tables[i].Name
		}
		opt.Progress(i, len(tables), next)
	}
	progress(0)
	limits := upstream.SampleLimits{Rows: opt.Rows, Chars: sampleChars, Timeout: opt.Timeout}
	err = upstream.Sample(ctx, db.dsn.get(), tables, limits, func(i int, s upstream.Sampled) {
		out.table(g.detector, snap.cat, tables[i], s)
		progress(i + 1)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// table proposes labels for the columns of one table.
func (c *Classification) table(d *mask.Detector, cat *access.Catalog, t upstream.SampleTable, s upstream.Sampled) {
	rel := cat.Relations[t.Name]
	whole := s.Skipped
	if rel.Kind == access.ForeignTable {
		whole = "it is on another server"
	}
	if whole != "" {
		c.Skipped = append(c.Skipped, SkippedTable{Table: t.Name, Why: whole})
	}
	for i, sc := range t.Columns {
		col := rel.Column(sc.Name)
		kind, form := kindOfType(cat, col.TypeOID)
		sample := classify.Sample{Rows: s.Rows, Values: s.Values[i], Skipped: whole}
		switch {
		case whole != "":
		case s.Unread[i] != "":
			sample.Skipped = s.Unread[i]
			c.Skipped = append(c.Skipped, SkippedTable{Table: t.Name, Columns: []string{sc.Name}, Why: s.Unread[i]})
		case form == upstream.Unread:
			sample.Skipped = "its type is not one of text or numbers"
		}
		c.Proposals = append(c.Proposals, ColumnProposal{Column: access.ColumnID{Relation: t.Name, Column: sc.Name}, Type: col.Type,
			Proposal: classify.Propose(d, classify.Column{Table: t.Name.Name, Name: sc.Name, Comment: col.Comment, Kind: kind}, sample)})
	}
}

// builtinKinds are the built-in types (pg_type.dat) by what their values are.
var builtinKinds = map[uint32]classify.Kind{
	25: classify.Text, 1043: classify.Text, 1042: classify.Text, 19: classify.Text, 18: classify.Text,
	114: classify.Document, 3802: classify.Document, 142: classify.Document,
	20: classify.Number, 21: classify.Number, 23: classify.Number, 700: classify.Number, 701: classify.Number, 1700: classify.Number,
	1082: classify.Date, 1114: classify.Date, 1184: classify.Date,
	869: classify.Network, 650: classify.Network, 829: classify.Hardware, 774: classify.Hardware, 600: classify.Place, 16: classify.Boolean,
}

// kindOfType says what the values of a type are and how they are read. Types of the database's own users are not read:
// that could call a cast of theirs. Those of extensions are, for whoever runs the database installed them.
func kindOfType(cat *access.Catalog, oid uint32) (classify.Kind, upstream.Form) {
	for range 8 {
		t := cat.TypeByOID[oid]
		if kind, ok := builtinKinds[oid]; ok {
			switch kind {
			case classify.Text, classify.Document:
				return kind, upstream.Words
			case classify.Number:
				return kind, upstream.Plain
			}
			return kind, upstream.Unread
		}
		switch {
		case t == nil:
			return classify.Other, upstream.Unread
		case t.Kind == 'd':
			oid = t.Base
			continue
		case t.Category == 'A' && t.Elem != 0:
			if kind, form := kindOfType(cat, t.Elem); kind == classify.Text && form == upstream.Words {
				return kind, upstream.List
			}
			return classify.Other, upstream.Unread
		case t.Extension == "citext":
			return classify.Text, upstream.Words
		case t.Extension == "postgis" && strings.HasPrefix(t.Name.Name, "geo"):
			return classify.Place, upstream.Unread
		}
		return classify.Other, upstream.Unread
	}
	return classify.Other, upstream.Unread
}
