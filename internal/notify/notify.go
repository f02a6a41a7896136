package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sallyport/audit/export"
	"sallyport/internal/access"
)

// Channel is one way to people. Exactly one of the last four is given.
type Channel struct {
	Name   string   // also of its cursor's file
	URL    string   // where reviewers decide, without a slash at its end; "" where there is no such place
	Groups []string // requests that ask one of these are told; all when empty
	Events []Event  // which; all when empty
	SQL    bool     // tell the text of statements, literals with identifiers masked

	Webhook *export.Webhook
	Slack   *Slack
	Teams   *Teams
	Mail    *Mail
}

// sender is one kind of channel. It is used by one goroutine.
type sender interface {
	// send returns nil once the message is on its way for good; errors are those of export.Receiver.
	send(ctx context.Context, m *Message) error
	close() error
}

// Open makes ready the channels of the log in logDir, which must be there. Their cursors are kept in stateDir; one that is new
// begins with what is recorded from then on.
func Open(logDir, stateDir string, channels []Channel, opt export.Options) (*export.Set, error) {
	var configs []export.Config
	var opened []export.Receiver
	for _, c := range channels {
		r, err := newReceiver(c)
		if err != nil {
			for _, o := range opened {
				err = errors.Join(err, o.Close())
			}
			return nil, fmt.Errorf("channel %s: %w", c.Name, err)
		}
		opened = append(opened, r)
		configs = append(configs, export.Config{Name: c.Name, From: export.FromNow, Receiver: r, Kinds: []access.RecordKind{access.RecordReview, access.RecordLogin}})
	}
	return export.Open(logDir, stateDir, configs, opt)
}

// Check says what is wrong with a channel. It sends nothing.
func (c Channel) Check() error {
	r, err := newReceiver(c)
	if err != nil {
		return err
	}
	return r.Close()
}

// receiver tells a channel of the steps that it wants to know of.
type receiver struct {
	channel Channel
	place   string
	to      sender
	flood   flood
}

func newReceiver(c Channel) (*receiver, error) {
	for _, e := range c.Events {
		if !slices.Contains(Events(), e) {
			return nil, fmt.Errorf("there is no event %q", e)
		}
	}
	c.URL = strings.TrimSuffix(c.URL, "/")
	r := &receiver{channel: c}
	var err error
	switch {
	case c.Webhook != nil:
		r.place = "webhook " + export.Place(c.Webhook.URL)
		r.to, err = newWebhook(c.Webhook)
	case c.Slack != nil:
		r.place = "slack " + export.Place(c.Slack.url())
		r.to, err = newSlack(c.Slack)
	case c.Teams != nil:
		r.place = "teams " + export.Place(c.Teams.URL)
		r.to, err = newTeams(c.Teams)
	case c.Mail != nil:
		r.place = "email " + c.Mail.Address
		r.to, err = newMail(c.Mail)
	default:
		err = errors.New("it leads nowhere")
	}
	return r, err
}

func (r *receiver) Place() string { return r.place }

func (r *receiver) Close() error { return r.to.close() }

// Receive sends what a step says. What the channel does not take is told once more without the words of others, so that no request can be
// written so that nobody is told of it.
func (r *receiver) Receive(ctx context.Context, log string, rec *access.Record) error {
	if rec.Kind == access.RecordLogin {
		return r.receiveLogin(ctx, log, rec)
	}
	step, err := stepOf(rec)
	if err != nil {
		return export.Rejected(err.Error())
	}
	event := eventOf(step)
	if !r.wants(event, step.Asked) {
		return nil
	}
	tell, quiet := r.flood.tells(rec, event)
	if !tell {
		return nil
	}
	m := newMessage(event, log, rec, step)
	m.Quiet = quiet
	if r.channel.URL != "" {
		m.URL = r.channel.URL + "/reviews/" + m.Request
	}
	if !r.channel.SQL {
		m.SQL = ""
	}
	return r.send(ctx, m)
}

// receiveLogin tells of a log-in by break glass, whatever groups the channel goes by: nobody was asked.
func (r *receiver) receiveLogin(ctx context.Context, log string, rec *access.Record) error {
	if rec.Proof == nil || !rec.Proof.BreakGlass || len(r.channel.Events) > 0 && !slices.Contains(r.channel.Events, GlassLogin) {
		return nil
	}
	m := loginMessage(log, rec)
	if r.channel.URL != "" {
		m.URL = r.channel.URL + "/overview"
	}
	return r.send(ctx, m)
}

func (r *receiver) send(ctx context.Context, m *Message) error {
	err := r.to.send(ctx, m)
	if export.IsRejected(err) {
		err = r.to.send(ctx, m.plain())
	}
	return err
}

func (r *receiver) wants(e Event, asked []string) bool {
	if e == "" || len(r.channel.Events) > 0 && !slices.Contains(r.channel.Events, e) {
		return false
	}
	return len(r.channel.Groups) == 0 || slices.ContainsFunc(asked, func(g string) bool { return slices.Contains(r.channel.Groups, g) })
}
