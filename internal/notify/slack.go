package notify

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"sallyport/audit/export"
)

// Slack is a channel of Slack: by an incoming webhook, or by chat.postMessage with the token of a bot.
type Slack struct {
	Webhook string // URL of an incoming webhook, which is a secret
	Token   string // of a bot with chat:write
	Channel string // with Token: name or id
	API     string // with Token; https://slack.com/api when empty
	TLS     *tls.Config
	Timeout time.Duration // 30 s when 0
}

func (s *Slack) url() string {
	switch {
	case s.Webhook != "":
		return s.Webhook
	case s.API != "":
		return strings.TrimSuffix(s.API, "/") + "/chat.postMessage"
	}
	return "https://slack.com/api/chat.postMessage"
}

type slack struct {
	*export.Poster
	conf Slack
}

func newSlack(c *Slack) (*slack, error) {
	if (c.Webhook == "") == (c.Token == "") || (c.Token == "") != (c.Channel == "") {
		return nil, errors.New("a Slack channel has the URL of an incoming webhook, or a token and a channel")
	}
	p, err := export.NewPoster(c.url(), c.TLS, c.Timeout)
	if err != nil {
		return nil, err
	}
	return &slack{Poster: p, conf: *c}, nil
}

func (s *slack) close() error { return s.Close() }

func (s *slack) send(ctx context.Context, m *Message) error {
	body, err := json.Marshal(s.message(m))
	if err != nil {
		return export.Rejected(err.Error())
	}
	header := http.Header{"Content-Type": {"application/json; charset=utf-8"}, "User-Agent": {"sallyport"}}
	if s.conf.Token != "" {
		header.Set("Authorization", "Bearer "+s.conf.Token)
	}
	answer, err := s.Post(ctx, "", header, body)
	if err != nil || s.conf.Token == "" {
		return err
	}
	var said struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
	}
	switch err := json.Unmarshal(answer, &said); {
	case err != nil:
		return errors.New("the answer of Slack is not JSON")
	case said.OK:
		return nil
	case slices.Contains([]string{"invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long", "no_text"}, said.Error):
		return export.Rejected(said.Error)
	}
	return errors.New("it answers " + text(said.Error))
}

// Block Kit (docs.slack.dev/reference/block-kit). What others wrote is in plain_text, in which nothing is a mention, a link or
// formatting.
type (
	slackMessage struct {
		Channel string       `json:"channel,omitempty"`
		Text    string       `json:"text"` // of the notification
		Blocks  []slackBlock `json:"blocks"`
		Unfurl  bool         `json:"unfurl_links"`
		Media   bool         `json:"unfurl_media"`
	}
	slackBlock struct {
		Type     string         `json:"type"`
		ID       string         `json:"block_id,omitempty"`
		Text     *slackText     `json:"text,omitempty"`
		Elements []slackElement `json:"elements,omitempty"`
	}
	slackText struct {
		Type  string `json:"type"`
		Text  string `json:"text"`
		Emoji bool   `json:"emoji"`
	}
	slackElement struct {
		Type   string     `json:"type"`
		Text   *slackText `json:"text"`
		URL    string     `json:"url"`
		Action string     `json:"action_id"`
		Value  string     `json:"value"`
		Style  string     `json:"style,omitempty"`
	}
)

// Limits of Slack: a header has 150 characters, a section's text 3000.
const (
	slackHeader  = 150
	slackSection = 2900
)

func slackPlain(s string, most int) *slackText {
	return &slackText{Type: "plain_text", Text: short(s, most-len(" […]"))}
}

func (s *slack) message(m *Message) *slackMessage {
	out := &slackMessage{Channel: s.conf.Channel, Text: slackEscape(m.Title())}
	out.Blocks = append(out.Blocks, slackBlock{Type: "header", Text: slackPlain(m.Title(), slackHeader)})
	for _, f := range m.Facts() {
		out.Blocks = append(out.Blocks, slackBlock{Type: "section", Text: slackPlain(f.Name+": "+f.Value, slackSection)})
	}
	if m.URL != "" {
		b := slackElement{Type: "button", Text: slackPlain(m.Link(), 75), URL: m.URL, Action: "sallyport-open", Value: m.Request}
		if m.Loud() {
			b.Style = "danger"
		}
		out.Blocks = append(out.Blocks, slackBlock{Type: "actions", ID: "sallyport", Elements: []slackElement{b}})
	}
	return out
}

// slackEscape is for text that Slack looks for mentions and links in.
func slackEscape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
