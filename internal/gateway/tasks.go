package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/internal/access"
	"sallyport/sqlguard"
)

// taskEntry is a task with who may use it. Tasks live in memory: an agent starts another after a restart,
// and the record has both.
type taskEntry struct {
	task  Task
	owner string
	until time.Time
}

const taskLife = 24 * time.Hour

// mostTask is the longest name of a task that a wire client may claim to work on.
const mostTask = 128

// claimedTask is what a wire client says that it works on. It goes into every record of the session, so it is
// kept short, and free of what the detectors know.
func (g *Gateway) claimedTask(name string) Task {
	return Task{ID: g.detector.String(shortened(name, mostTask))}
}

// claimedReason keeps a reason to what a person reads: every record of the session repeats it.
func claimedReason(reason string) string { return shortened(reason, mostParam) }

// StartTask records a task and gives its id, an unguessable handle bound to the principal and everybody who acts for them.
func (g *Gateway) StartTask(ctx context.Context, door access.Door, c access.Credentials, goal, ticket string) (Task, error) {
	p, err := g.people.Verify(ctx, c)
	if err != nil {
		return Task{}, err
	}
	t := Task{ID: newID("task"), Goal: goal, Ticket: ticket}
	err = g.note(access.RecordTask, func(rec *access.Record) {
		whoAsks(rec, p)
		rec.Door = door
		rec.Task, rec.Goal, rec.Ticket = t.ID, g.forRecord(rec, goal), g.forRecord(rec, ticket)
	})
	if err != nil {
		return Task{}, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	for id, e := range g.tasks {
		if now.After(e.until) {
			delete(g.tasks, id)
		}
	}
	g.tasks[t.ID] = taskEntry{task: t, owner: ownerOf(p), until: now.Add(taskLife)}
	return t, nil
}

// LookupTask gives a task to the principal who started it, acting as then; to others it does not exist.
func (g *Gateway) LookupTask(ctx context.Context, c access.Credentials, id string) (Task, error) {
	p, err := g.people.Verify(ctx, c)
	if err != nil {
		return Task{}, err
	}
	g.mu.Lock()
	e, ok := g.tasks[id]
	g.mu.Unlock()
	if !ok || e.owner != ownerOf(p) || time.Now().After(e.until) {
		return Task{}, &access.Error{Kind: access.Invalid, Code: "22023", Message: "there is no such task of yours: it has ended, by its time or with a restart of the gateway, or never was",
			Hint: "start one with start_task and use the task_id that it gives, also with a handle of before: what waits for approval is yours still"}
	}
	return e.task, nil
}

// Visible lists the connections that a principal may use.
func (g *Gateway) Visible(ctx context.Context, c access.Credentials) ([]ConnectionInfo, error) {
	p, err := g.people.Verify(ctx, c)
	if err != nil {
		return nil, err
	}
	var out []ConnectionInfo
	policies := g.policies.Load()
	for name, db := range g.dbs {
		if sqlguard.MayConnect(p, name, access.DoorMCP, policies).Effect != access.Allow {
			continue
		}
		info := ConnectionInfo{Name: name, Driver: "postgres"}
		if sc := g.viewOf(db, p); sc != nil {
			info.Available, info.Database = true, sc.snap.cat.Database
			info.ServerVersion = fmt.Sprintf("%d.%d", sc.snap.cat.ServerVersion/10000, sc.snap.cat.ServerVersion%10000)
			info.Masked = len(sc.maskedColumns())
			for _, r := range sc.snap.cat.Relations {
				if userRelation(r) && sc.mayRead(r) {
					info.Relations++
				}
			}
		}
		out = append(out, info)
	}
	slices.SortFunc(out, func(a, b ConnectionInfo) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// reasonToLook stands for the reason where only the schema is looked at.
const reasonToLook = "looking at the schema, not at data"

// viewOf is a scope for looking at a database's schema, or nil when it was never reached.
func (g *Gateway) viewOf(db *database, p access.Principal) *scope {
	fresh, snap := db.fresh(), db.snap.Load()
	if !fresh || snap == nil {
		return nil
	}
	return g.scope(db, snap, g.policies.Load(), p, access.DoorMCP, []string{"pg_catalog", "public"}, "pg_catalog\x00public", reasonToLook)
}

// kindWords are the relation kinds that hold rows.
var kindWords = map[access.RelationKind]string{access.Table: "table", access.Partitioned: "partitioned table", access.View: "view",
	access.MatView: "materialized view", access.ForeignTable: "foreign table"}

func userRelation(r *access.Relation) bool {
	return kindWords[r.Kind] != "" && r.Name.Schema != "pg_catalog" && r.Name.Schema != "information_schema"
}

// mayRead asks the guard as if some column were read: what no policy lets them read does not exist.
func (sc *scope) mayRead(r *access.Relation) bool {
	if sc.unrestricted.Effect == access.Allow {
		return true
	}
	for _, c := range r.Columns {
		f := &access.Facts{Class: access.ClassRead, Tag: "SELECT", Pure: true,
			Relations: []access.RelationUse{{Name: r.Name, Action: access.ActRead, Verb: "select", Columns: []access.ColumnUse{{Name: c.Name, Use: access.UseOutput}}}}}
		d := sqlguard.Decide(sqlguard.Input{Principal: sc.principal, Door: sc.door, Connection: sc.db.conf.Name, Facts: f, Catalog: sc.snap.cat,
			Labels: sc.snap.labels.Columns, Refused: func(access.Name) string { return "" }, Policies: sc.policies, HasReason: true})
		if d.Effect != access.Deny {
			return true
		}
	}
	return false
}

// SearchSchema finds relations and columns by a part of their name or comment, as the principal may see
// them; relations that they may not read are not there.
func (g *Gateway) SearchSchema(ctx context.Context, c access.Credentials, q SchemaQuery) ([]RelationInfo, error) {
	connection := q.Connection
	p, err := g.people.Verify(ctx, c)
	if err != nil {
		return nil, err
	}
	db := g.dbs[connection]
	if db == nil || sqlguard.MayConnect(p, connection, access.DoorMCP, g.policies.Load()).Effect != access.Allow {
		return nil, noSuchConnection(connection, p, access.DoorMCP)
	}
	sc := g.viewOf(db, p)
	if sc == nil {
		return nil, &access.Error{Kind: access.Unavailable, Code: "08001", Message: "the database behind " + connection + " cannot be reached", Hint: "try again later"}
	}
	masked := map[access.ColumnID]bool{}
	if sc.unrestricted.Effect != access.Allow {
		for _, id := range sc.maskedColumns() {
			masked[id] = true
		}
	}
	pattern := strings.ToLower(strings.Trim(q.Pattern, "%* "))
	var out []RelationInfo
	for _, r := range sc.snap.cat.Relations {
		if userRelation(r) && matches(r, pattern) && sc.mayRead(r) {
			out = append(out, sc.relationInfo(r, masked))
		}
	}
	slices.SortFunc(out, func(a, b RelationInfo) int { return strings.Compare(a.Name.String(), b.Name.String()) })
	if q.Limit > 0 && len(out) > q.Limit {
		out = out[:q.Limit]
	}
	if err := g.recordSearch(p, q, len(out)); err != nil {
		return nil, err
	}
	return out, nil
}

// recordSearch records a look at the schema before its answer leaves.
func (g *Gateway) recordSearch(p access.Principal, q SchemaQuery, found int) error {
	return g.note(access.RecordStatement, func(rec *access.Record) {
		whoAsks(rec, p)
		rec.Door, rec.Connection = q.Door, q.Connection
		rec.Task, rec.Reason, rec.Traceparent = q.Task.ID, g.forRecord(rec, q.Reason), traceparent(q.Traceparent)
		rec.SQL, rec.Command, rec.Rows = "search_schema "+g.forRecord(rec, q.Pattern), "SEARCH SCHEMA", int64(found)
	})
}

func matches(r *access.Relation, pattern string) bool {
	if pattern == "" || strings.Contains(strings.ToLower(r.Name.String()), pattern) || strings.Contains(strings.ToLower(r.Comment), pattern) {
		return true
	}
	for _, c := range r.Columns {
		if strings.Contains(strings.ToLower(c.Name), pattern) || strings.Contains(strings.ToLower(c.Comment), pattern) {
			return true
		}
	}
	return false
}

func (sc *scope) relationInfo(r *access.Relation, masked map[access.ColumnID]bool) RelationInfo {
	info := RelationInfo{Name: r.Name, Kind: kindWords[r.Kind], Comment: r.Comment}
	labels := sc.snap.labels.Columns(r.Name)
	for i := range r.Columns {
		c := &r.Columns[i]
		ci := ColumnInfo{Name: c.Name, Type: c.Type, Comment: c.Comment, NotNull: c.NotNull, Labels: labels[c.Name]}
		if masked[access.ColumnID{Relation: r.Name, Column: c.Name}] {
			m := sc.snap.maskOf(r, c, sc.writable)
			ci.Masked = &m
		}
		info.Columns = append(info.Columns, ci)
	}
	return info
}
