package gateway_test

import (
	"context"
	"log/slog"
	"net"

	"sallyport/internal/gateway"
	"sallyport/proxy/pgwire"
)

func init() {
	gateway.ServeDoor = func(ctx context.Context, gw *gateway.Gateway, ln net.Listener) error {
		return pgwire.New(gw, pgwire.Options{Log: slog.New(slog.DiscardHandler)}).Serve(ctx, ln)
	}
}
