package twin

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"

	"sallyport/evals/wire"
)

// habits are what a server says about where and since when it runs: no labelled data, and different
// between the twins' servers by nature.
const habits = `select name || '=' || value from (values
  ('START', pg_postmaster_start_time()::text), ('LOADED', pg_conf_load_time()::text),
  ('SYSTEM', (select system_identifier::text from pg_control_system()))) v(name, value)`

// observe learns what Clean takes out.
func (s *Side) observe(ctx context.Context) error {
	s.swaps = []string{s.Server.Dir, "DIR"}
	conn, err := pgx.Connect(ctx, s.Direct())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, v := range texts(ctx, conn, habits) {
		name, value, _ := strings.Cut(v, "=")
		s.swaps = append(s.swaps, value, name)
	}
	s.port = regexp.MustCompile(fmt.Sprintf(`\b%d\b`, s.Server.Port))
	return nil
}

// Clean replaces what tells the two servers apart by where they run: folder, port, start times.
func (s *Side) Clean(a wire.Answer) wire.Answer {
	r := strings.NewReplacer(s.swaps...)
	for i, l := range a.Lines {
		a.Lines[i] = s.port.ReplaceAllString(r.Replace(l), "PORT")
	}
	return a
}
