package gateway

import (
	"sallyport/internal/access"
	"sallyport/mask"
)

// tellUnjudged logs, once, each column that nobody has judged. Where there is no labels file, columns are not judged one
// by one: then it is only told of those that are new since the last look. Call with d.mu held.
func (d *database) tellUnjudged(before, now *snapshot) {
	for _, u := range now.labels.Unjudged() {
		if u.Listed || d.told[u.Column] || now.judged == nil && (before == nil || has(before.cat, u.Column)) {
			continue
		}
		if d.told == nil {
			d.told = map[access.ColumnID]bool{}
		}
		d.told[u.Column] = true
		d.logger.Warn("nobody has judged a column", "connection", d.conf.Name, "column", u.Column.Relation.String()+"."+u.Column.Column,
			"type", u.Type, "masked", u.Masked)
	}
}

func has(cat *access.Catalog, id access.ColumnID) bool {
	rel := cat.Relations[id.Relation]
	return rel != nil && rel.Column(id.Column) != nil
}

// Judge puts what the labels files say in force, by connection. Live sessions are judged by it from their next statement
// on. A connection that is left out keeps what it has.
func (g *Gateway) Judge(judged map[string]*access.Judgements) {
	for name, j := range judged {
		if db := g.dbs[name]; db != nil {
			db.judged.Store(j)
			db.stale()
		}
	}
}

// Unjudged looks at an upstream afresh and lists the columns that nobody has judged.
func (g *Gateway) Unjudged(connection string) ([]mask.Unjudged, error) {
	db := g.dbs[connection]
	if db == nil {
		return nil, &access.Error{Kind: access.Invalid, Message: "there is no connection " + connection, Hint: "the configuration names them"}
	}
	snap, err := db.load()
	if err != nil {
		return nil, err
	}
	return snap.labels.Unjudged(), nil
}
