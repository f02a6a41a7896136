package mcp

import (
	"context"
	"fmt"
	"strings"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/mcp/internal/front"
)

// How much of a schema one answer shows: columns only when few relations match, since a model that
// lists everything wants names.
const (
	relationsMost = 200
	detailMost    = 15
)

type taskBody struct {
	TaskID string `json:"task_id"`
}

func (s *Server) startTask(ctx context.Context, c *front.Caller, a args) (*answer, error) {
	task, err := s.core.StartTask(ctx, access.DoorMCP, c.Credentials, a.text["goal"], a.text["ticket"])
	if err != nil {
		return nil, err
	}
	return &answer{
		structured: taskBody{task.ID},
		text:       "task_id: " + task.ID + "\nSend it, and a reason, with every call that touches data.",
	}, nil
}

type connectionsBody struct {
	Connections []connectionBody `json:"connections"`
}

type connectionBody struct {
	Name      string `json:"name"`
	Driver    string `json:"driver"`
	Database  string `json:"database"`
	Version   string `json:"server_version,omitempty"`
	Relations int    `json:"relations"`
	Masked    int    `json:"masked_columns"`
	Available bool   `json:"available"`
}

func (s *Server) listConnections(ctx context.Context, c *front.Caller, _ args) (*answer, error) {
	list, err := s.core.Visible(ctx, c.Credentials)
	if err != nil {
		return nil, err
	}
	body := connectionsBody{Connections: []connectionBody{}}
	var t strings.Builder
	if len(list) == 0 {
		t.WriteString("No connection is open to this principal: ask for a policy that permits \"connect\".")
	}
	for _, i := range list {
		body.Connections = append(body.Connections, connectionBody{
			Name: i.Name, Driver: i.Driver, Database: i.Database, Version: i.ServerVersion,
			Relations: i.Relations, Masked: i.Masked, Available: i.Available,
		})
		fmt.Fprintf(&t, "%s: %s %s, database %s, %d relations, %d masked columns", i.Name, i.Driver, i.ServerVersion, i.Database, i.Relations, i.Masked)
		if !i.Available {
			t.WriteString(" (not reachable now)")
		}
		t.WriteByte('\n')
	}
	return &answer{structured: body, text: strings.TrimSuffix(t.String(), "\n")}, nil
}

type schemaBody struct {
	Relations []relationBody `json:"relations"`
	Truncated bool           `json:"truncated"`
	Untrusted bool           `json:"untrusted"` // comments are text that others wrote
	Notes     []string       `json:"notes,omitempty"`
}

type relationBody struct {
	Name    string             `json:"name"`
	Kind    string             `json:"kind"`
	Comment string             `json:"comment,omitempty"`
	Columns []schemaColumnBody `json:"columns,omitempty"`
}

type schemaColumnBody struct {
	Name    string         `json:"name"`
	Type    string         `json:"type"`
	NotNull bool           `json:"not_null,omitempty"`
	Comment string         `json:"comment,omitempty"`
	Labels  []access.Label `json:"labels,omitempty"`
	Masked  string         `json:"masked,omitempty"` // the transform
}

func (s *Server) searchSchema(ctx context.Context, c *front.Caller, a args) (*answer, error) {
	// Names and comments are data too: a task and a reason are asked for like anywhere else.
	task, err := s.core.LookupTask(ctx, c.Credentials, a.text["task_id"])
	if err != nil {
		return nil, err
	}
	list, err := s.core.SearchSchema(ctx, c.Credentials, gateway.SchemaQuery{Door: access.DoorMCP, Connection: a.text["connection"],
		Pattern: a.text["pattern"], Limit: relationsMost + 1, Task: task, Reason: a.text["reason"], Traceparent: c.Traceparent})
	if err != nil {
		return nil, err
	}
	body := schemaBody{Relations: []relationBody{}, Untrusted: true}
	if len(list) > relationsMost {
		list, body.Truncated = list[:relationsMost], true
		body.Notes = append(body.Notes, "more relations match: use a narrower pattern")
	}
	detail := len(list) <= detailMost
	if !detail {
		body.Notes = append(body.Notes, fmt.Sprintf("columns are shown when at most %d relations match", detailMost))
	}
	var t strings.Builder
	for i := range list {
		r := describeRelation(&list[i], detail)
		body.Relations = append(body.Relations, r)
		writeRelation(&t, &r)
	}
	text := fmt.Sprintf("%d relations.", len(list))
	for _, n := range body.Notes {
		text += "\nNote: " + n + "."
	}
	if t.Len() > 0 {
		text += "\n" + fence(t.String())
	}
	return &answer{structured: body, text: text}, nil
}

func describeRelation(r *gateway.RelationInfo, detail bool) relationBody {
	out := relationBody{Name: harmless(r.Name.String()), Kind: r.Kind, Comment: comment(r.Comment)}
	if !detail {
		return out
	}
	for _, col := range r.Columns {
		c := schemaColumnBody{
			Name: harmless(col.Name), Type: harmless(col.Type), NotNull: col.NotNull,
			Comment: comment(col.Comment), Labels: col.Labels,
		}
		if col.Masked != nil {
			c.Masked = col.Masked.Transform
		}
		out.Columns = append(out.Columns, c)
	}
	return out
}

// comment keeps comments to a sane length.
func comment(s string) string { return clip(harmless(s), 300) }

func writeRelation(t *strings.Builder, r *relationBody) {
	fmt.Fprintf(t, "%s (%s)", oneLine.Replace(r.Name), r.Kind)
	if r.Comment != "" {
		fmt.Fprintf(t, " -- %s", oneLine.Replace(r.Comment))
	}
	t.WriteByte('\n')
	for _, c := range r.Columns {
		fmt.Fprintf(t, "  %s %s", oneLine.Replace(c.Name), oneLine.Replace(c.Type))
		if c.NotNull {
			t.WriteString(" not null")
		}
		for _, l := range c.Labels {
			fmt.Fprintf(t, " @%s", l)
		}
		if c.Masked != "" {
			fmt.Fprintf(t, " masked:%s", c.Masked)
		}
		if c.Comment != "" {
			fmt.Fprintf(t, " -- %s", oneLine.Replace(c.Comment))
		}
		t.WriteByte('\n')
	}
}
