package notify

import (
	"context"
	"encoding/json"
	"net/http"

	"sallyport/audit/export"
)

// webhook posts each Message as JSON, signed as Standard Webhooks has it. The id of the event is its webhook-id.
type webhook struct{ *export.Signed }

func newWebhook(c *export.Webhook) (*webhook, error) {
	s, err := export.NewSigned(c)
	if err != nil {
		return nil, err
	}
	return &webhook{s}, nil
}

func (w *webhook) send(ctx context.Context, m *Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return export.Rejected(err.Error())
	}
	return w.Send(ctx, m.ID, "application/json", http.Header{"Sallyport-Event": {string(m.Event)}}, body)
}

func (w *webhook) close() error { return w.Close() }
