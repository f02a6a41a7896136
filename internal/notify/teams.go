package notify

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"time"

	"sallyport/audit/export"
)

// Teams is a channel or chat of Microsoft Teams, by the webhook of a workflow ("Post to a channel when a webhook request is received").
type Teams struct {
	URL     string // which is a secret
	TLS     *tls.Config
	Timeout time.Duration // 30 s when 0
}

type teams struct{ *export.Poster }

func newTeams(c *Teams) (*teams, error) {
	p, err := export.NewPoster(c.URL, c.TLS, c.Timeout)
	if err != nil {
		return nil, err
	}
	return &teams{p}, nil
}

func (t *teams) close() error { return t.Close() }

func (t *teams) send(ctx context.Context, m *Message) error {
	body, err := json.Marshal(teamsMessage{Type: "message", Attachments: []teamsAttachment{{Type: "application/vnd.microsoft.card.adaptive", Content: newCard(m)}}})
	if err != nil {
		return export.Rejected(err.Error())
	}
	_, err = t.Post(ctx, "", http.Header{"Content-Type": {"application/json"}, "User-Agent": {"sallyport"}}, body)
	return err
}

// An Adaptive Card (adaptivecards.io, schema 1.4, which Teams knows). What others wrote is in text runs, in which nothing is
// Markdown.
type (
	teamsMessage struct {
		Type        string            `json:"type"`
		Attachments []teamsAttachment `json:"attachments"`
	}
	teamsAttachment struct {
		Type    string `json:"contentType"`
		URL     any    `json:"contentUrl"`
		Content card   `json:"content"`
	}
	card struct {
		Schema  string       `json:"$schema"`
		Type    string       `json:"type"`
		Version string       `json:"version"`
		Body    []cardText   `json:"body"`
		Actions []cardAction `json:"actions,omitempty"`
	}
	cardText struct {
		Type    string    `json:"type"`
		Inlines []cardRun `json:"inlines"`
	}
	cardRun struct {
		Type   string `json:"type"`
		Text   string `json:"text"`
		Weight string `json:"weight,omitempty"`
		Size   string `json:"size,omitempty"`
		Color  string `json:"color,omitempty"`
	}
	cardAction struct {
		Type  string `json:"type"`
		Title string `json:"title"`
		URL   string `json:"url"`
	}
)

func newCard(m *Message) card {
	c := card{Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4"}
	block := func(runs ...cardRun) { c.Body = append(c.Body, cardText{Type: "RichTextBlock", Inlines: runs}) }
	title := cardRun{Type: "TextRun", Text: m.Title(), Weight: "bolder", Size: "medium"}
	if m.Loud() {
		title.Color = "attention"
	}
	block(title)
	for _, f := range m.Facts() {
		block(cardRun{Type: "TextRun", Text: f.Name + ": ", Weight: "bolder"}, cardRun{Type: "TextRun", Text: f.Value})
	}
	if m.URL != "" {
		c.Actions = []cardAction{{Type: "Action.OpenUrl", Title: m.Link(), URL: m.URL}}
	}
	return c
}
