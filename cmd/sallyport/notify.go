package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"sallyport/audit/export"
	"sallyport/internal/config"
	"sallyport/internal/notify"
	"sallyport/internal/notify/slack"
)

// openChannels makes ready the ways to people that the configuration names; nil when there are none. link is where requests are decided,
// "" where there is no such place.
func (o *outward) openChannels(cfg *config.Config) (*export.Set, error) {
	if len(cfg.Channels) == 0 {
		return nil, nil
	}
	var channels []notify.Channel
	for _, n := range cfg.Channels {
		c, err := channelConfig(&n)
		if err != nil {
			return nil, fmt.Errorf("channel %s: %w", n.Name, err)
		}
		c.URL = o.link
		channels = append(channels, c)
	}
	return notify.Open(filepath.Join(o.dataDir, "log"), channelDir(o.dataDir), channels, export.Options{Log: o.log, Version: programVersion()})
}

// channelDir is where channels keep their places in the log.
func channelDir(dataDir string) string { return filepath.Join(dataDir, "notify") }

// channelConfig puts an entry of the configuration in the words of the channels.
func channelConfig(n *config.Notify) (notify.Channel, error) {
	c := notify.Channel{Name: n.Name, Groups: n.Groups, SQL: n.SQL}
	for _, e := range n.Events {
		c.Events = append(c.Events, notify.Event(e))
	}
	tls, err := clientTLS(n.TLS)
	if err != nil {
		return c, err
	}
	timeout := time.Duration(n.Timeout)
	switch n.To {
	case "webhook":
		secret, err := export.WebhookSecret(n.Secret)
		if err != nil {
			return c, err
		}
		c.Webhook = &export.Webhook{URL: n.URL, Secret: secret, TLS: tls, Timeout: timeout}
	case "slack":
		c.Slack = &notify.Slack{Webhook: n.URL, Token: n.Token, Channel: n.Channel, TLS: tls, Timeout: timeout}
	case "teams":
		c.Teams = &notify.Teams{URL: n.URL, TLS: tls, Timeout: timeout}
	case "email":
		c.Mail = &notify.Mail{Address: n.Address, Security: notify.Security(n.Security), User: n.User, Password: n.Password, From: n.From, To: n.Recipients, TLS: tls, Timeout: timeout}
	}
	return c, nil
}

// tryChannel makes a channel ready as `serve` would, and sends nothing.
func tryChannel(n *config.Notify) error {
	c, err := channelConfig(n)
	if err == nil {
		err = c.Check()
	}
	return err
}

// besideSlack answers what the buttons of Slack messages send at /slack, where a channel has the secret that tells that it is Slack.
func besideSlack(h *slack.Handler, pages http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/slack", func(w http.ResponseWriter, r *http.Request) {
		if h.Open() {
			h.ServeHTTP(w, r)
		} else {
			pages.ServeHTTP(w, r)
		}
	})
	mux.Handle("/", pages)
	return mux
}

// slackSecrets are the signing secrets of the apps whose buttons are answered.
func slackSecrets(cfg *config.Config) (secrets []string) {
	for _, n := range cfg.Channels {
		if n.To == "slack" && n.Secret != "" {
			secrets = append(secrets, n.Secret)
		}
	}
	return secrets
}
