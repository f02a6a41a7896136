package upstream

import (
	"context"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/pgdsn"
)

// Values finds the values of tokens while COPY data is under way on the session's own connection, on one that it opens
// when it is first asked. One goroutine may use it at a time.
type Values struct {
	DSN      string
	Settings map[string]string

	conn *pgx.Conn
}

// Find asks a query of mask.TokenColumn for tokens and calls found for each that has values.
func (v *Values) Find(ctx context.Context, sql string, tokens []string, found func(token, value string, values int64)) error {
	if v.conn == nil {
		cfg, err := pgx.ParseConfig(pgdsn.Secured(v.DSN))
		if err != nil {
			return pgdsn.Malformed(err)
		}
		for _, settings := range []map[string]string{v.Settings, Pinned, {"application_name": "sallyport tokens", "default_transaction_read_only": "on"}} {
			for name, value := range settings {
				cfg.RuntimeParams[name] = value
			}
		}
		if v.conn, err = pgx.ConnectConfig(ctx, cfg); err != nil {
			return dialError(err)
		}
	}
	rows, err := v.conn.Query(ctx, sql, tokens)
	if err != nil {
		return err
	}
	var token, value string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&token, &value, &n}, func() error {
		found(token, value, n)
		return nil
	})
	return err
}

// Close closes the connection, if there is one.
func (v *Values) Close() {
	if v.conn != nil {
		ctx, stop := context.WithTimeout(context.Background(), DialTimeout)
		defer stop()
		v.conn.Close(ctx)
		v.conn = nil
	}
}
