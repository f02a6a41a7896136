package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/mcp/internal/front"
)

// What a query fetches beyond its first page, so that the agent can go on without running it again. All
// of it is in the record as released.
const (
	fetchPages = 20
	fetchRows  = 2000
	fetchBytes = 1 << 20
	pageBytes  = 96 << 10 // of a page's JSON
	cellBytes  = 8 << 10  // of one value
)

type column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type maskedColumn struct {
	Column    string       `json:"column"`
	From      string       `json:"from"`
	Label     access.Label `json:"label"`
	Transform string       `json:"transform"`
}

type queryBody struct {
	Columns   []column          `json:"columns"`
	Rows      []json.RawMessage `json:"rows"`
	RowCount  int               `json:"row_count"`
	Truncated bool              `json:"truncated"`
	Cursor    string            `json:"cursor,omitempty"`
	Masked    []maskedColumn    `json:"masked,omitempty"`
	Untrusted bool              `json:"untrusted"`
	Record    uint64            `json:"record"`
	Command   string            `json:"command,omitempty"`
	Detected  int               `json:"detected,omitempty"`
	Notices   []string          `json:"notices,omitempty"` // the database's
	Notes     []string          `json:"notes,omitempty"`   // ours

	first, fetched int // number of the first row, and of the last that was fetched
}

func (s *Server) query(ctx context.Context, c *front.Caller, a args) (*answer, error) {
	task, err := s.core.LookupTask(ctx, c.Credentials, a.text["task_id"])
	if err != nil {
		return nil, err
	}
	if id := a.text["cursor"]; id != "" {
		if a.text["sql"] != "" || a.text["connection"] != "" || a.params != nil {
			return nil, invalid("cursor goes on with an earlier query and takes no connection, sql or params", "send cursor, task_id and reason alone")
		}
		r, err := s.cursors.take(id, c.Grant(), task.ID, s.core.PolicyVersion(), time.Now())
		if err != nil {
			return nil, err
		}
		if n := a.number["max_rows"]; n > 0 {
			r.size = n
		}
		return s.page(c, task, r), nil
	}
	if a.text["sql"] == "" || a.text["connection"] == "" {
		return nil, invalid("connection and sql are required", "or send the cursor of an earlier answer")
	}
	size := a.number["max_rows"]
	if size == 0 {
		size = rowsDefault
	}
	res, err := s.sessions.query(ctx, c, a.text["connection"], gateway.Query{
		SQL:      a.text["sql"],
		Args:     a.params,
		MaxRows:  max(size, min(size*fetchPages, fetchRows)),
		MaxBytes: fetchBytes,
		Task:     task,
		Reason:   a.text["reason"],

		Traceparent: c.Traceparent,
	})
	if err != nil {
		return nil, err
	}
	return s.page(c, task, restOf(res, size)), nil
}

// restOf is all of a result, to be handed out in pages of size rows.
func restOf(res *gateway.Result, size int) rest {
	return rest{columns: res.Columns, rows: res.Rows, command: res.Command, notices: res.Notices,
		detected: res.Detected, truncated: res.Truncated, notes: res.Notes, said: res.Said, record: res.Record, policies: res.Policies, size: size}
}

// page hands out the first rows of r and keeps the others under a cursor.
func (s *Server) page(c *front.Caller, task gateway.Task, r rest) *answer {
	body := queryBody{
		Columns:   make([]column, len(r.columns)),
		Rows:      []json.RawMessage{},
		Untrusted: true,
		Record:    r.record,
		Command:   r.command,
		Detected:  r.detected,
	}
	header := make([]cell, len(r.columns))
	for i, col := range r.columns {
		body.Columns[i] = column{harmless(col.Name), harmless(col.Type)}
		header[i] = cell{text: body.Columns[i].Name}
		for _, m := range col.Masks {
			body.Masked = append(body.Masked, maskedColumn{body.Columns[i].Name, m.Column, m.Label, m.Transform})
		}
	}
	for _, n := range r.notices {
		body.Notices = append(body.Notices, harmless(n))
	}
	for _, n := range r.said {
		body.Notes = append(body.Notes, clip(harmless(n), messageMost))
	}

	var table strings.Builder
	if len(header) > 0 {
		appendRow(&table, header)
	}
	cut, bytes := 0, 0
	for len(body.Rows) < min(r.size, len(r.rows)) && (bytes < pageBytes || len(body.Rows) == 0) {
		cells := make([]cell, len(r.columns))
		for i, v := range r.rows[len(body.Rows)] {
			cells[i] = newCell(r.columns[i].TypeOID, v, cellBytes)
			if cells[i].cut {
				cut++
			}
		}
		row := jsonRow(cells)
		bytes += len(row)
		body.Rows = append(body.Rows, row)
		appendRow(&table, cells)
	}
	body.RowCount = len(body.Rows)
	body.first, body.fetched = r.given+1, r.given+len(r.rows)
	r.rows, r.given = r.rows[body.RowCount:], r.given+body.RowCount

	if cut > 0 {
		body.Notes = append(body.Notes, fmt.Sprintf("%d long values were cut: select parts of them with substring", cut))
	}
	if len(r.rows) > 0 {
		body.Truncated = true
		r.detected, r.notices, r.said = 0, nil, nil // said once
		body.Cursor = s.cursors.put(c.Grant(), task.ID, r, time.Now())
	}
	if r.truncated {
		body.Truncated = true
	}
	body.Notes = append(body.Notes, r.notes...)
	if r.truncated && len(r.notes) == 0 {
		// With every page, for "of 40" reads as if there were no more than that.
		body.Notes = append(body.Notes, "there are more rows than this door hands out for one statement: aggregate, narrow the WHERE clause, or page by key with ORDER BY and LIMIT")
	}
	if len(r.columns) == 0 && !stateless(&gateway.Result{Command: r.command}, nil) {
		body.Notes = append(body.Notes, "each call stands alone: this had no effect on later calls")
	}
	return &answer{structured: body, text: queryText(&body, table.String())}
}

func queryText(b *queryBody, table string) string {
	var t strings.Builder
	rows := fmt.Sprintf("%d rows", b.RowCount)
	if b.RowCount > 0 && b.RowCount < b.fetched {
		rows = fmt.Sprintf("rows %d to %d of %d", b.first, b.first+b.RowCount-1, b.fetched)
	}
	if len(b.Columns) == 0 { // UPDATE 1 says it
		fmt.Fprintf(&t, "%s, record %d.", b.Command, b.Record)
	} else {
		fmt.Fprintf(&t, "%s: %s, record %d.", b.Command, rows, b.Record)
	}
	switch {
	case b.Cursor != "":
		fmt.Fprintf(&t, " Truncated; more with cursor %s.", b.Cursor)
	case b.Truncated:
		t.WriteString(" Truncated.")
	}
	if b.Detected > 0 {
		fmt.Fprintf(&t, " %d values in free text were hidden.", b.Detected)
	}
	for i, m := range b.Masked {
		sep := ", "
		if i == 0 {
			sep = "\nMasked: "
		}
		fmt.Fprintf(&t, "%s%s (%s of %s, %s)", sep, plain(m.Column), m.Transform, m.Label, plain(m.From))
	}
	for _, n := range b.Notes {
		fmt.Fprintf(&t, "\nNote: %s.", n)
	}
	for _, n := range b.Notices {
		table += "notice: " + oneLine.Replace(n) + "\n"
	}
	if table != "" {
		t.WriteString("\n" + fence(table))
	}
	return t.String()
}

// plain gives a name as it may stand outside of the fence: whoever may create a column may write a
// sentence into its name.
func plain(name string) string {
	ordinary := func(r rune) bool {
		return r == '_' || r == '.' || r == '$' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	if name == "" || len(name) > 3*64 || strings.ContainsFunc(name, func(r rune) bool { return !ordinary(r) }) {
		return "an unusual name"
	}
	return name
}

func jsonRow(cells []cell) json.RawMessage {
	n := 2
	for _, c := range cells {
		n += len(c.json) + 1
	}
	row := append(make(json.RawMessage, 0, n), '[')
	for i, c := range cells {
		if i > 0 {
			row = append(row, ',')
		}
		row = append(row, c.json...)
	}
	return append(row, ']')
}

type explainBody struct {
	Plan      string `json:"plan"`
	Truncated bool   `json:"truncated,omitempty"`
	Record    uint64 `json:"record"`
	Untrusted bool   `json:"untrusted"`
}

func (s *Server) explain(ctx context.Context, c *front.Caller, a args) (*answer, error) {
	task, err := s.core.LookupTask(ctx, c.Credentials, a.text["task_id"])
	if err != nil {
		return nil, err
	}
	if f := strings.Fields(a.text["sql"]); len(f) > 0 && strings.EqualFold(f[0], "explain") {
		return nil, invalid("sql begins with EXPLAIN", "give the statement itself; this tool explains it without running it")
	}
	res, err := s.sessions.query(ctx, c, a.text["connection"], gateway.Query{
		// With options in parentheses no ANALYZE can follow: the statement cannot smuggle itself in.
		SQL:      "EXPLAIN (ANALYZE false) " + a.text["sql"],
		MaxRows:  rowsMost,
		MaxBytes: fetchBytes,
		Task:     task,
		Reason:   a.text["reason"],

		Traceparent: c.Traceparent,
	})
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, row := range res.Rows {
		if len(row) > 0 && row[0] != nil {
			lines = append(lines, harmless(*row[0]))
		}
	}
	plan := strings.Join(lines, "\n")
	truncated, said := res.Truncated, ""
	if len(plan) > pageBytes {
		plan, truncated = cutString(plan, pageBytes), true
	}
	if truncated {
		said = " Truncated: the plan is longer than is shown."
	}
	return &answer{
		structured: explainBody{Plan: plan, Truncated: truncated, Record: res.Record, Untrusted: true},
		text:       fmt.Sprintf("Plan, record %d.%s\n%s", res.Record, said, fence(plan)),
	}, nil
}
