package crash

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/evals/agent"
	"sallyport/evals/harness"
)

// seen is what clients received. Every statement holds a mark of its own.
type seen struct {
	mu    sync.Mutex
	rows  map[string]int    // of a read, by mark
	large map[string]bool   // reads whose result is sent in parts
	acks  map[string]bool   // writes that were acknowledged
	codes map[string]string // what errors said, by SQLSTATE
}

func newSeen() *seen {
	return &seen{rows: map[string]int{}, large: map[string]bool{}, acks: map[string]bool{}, codes: map[string]string{}}
}

func (s *seen) read(mark string, rows int, large bool) {
	if rows == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[mark] = rows
	if large {
		s.large[mark] = true
	}
}

func (s *seen) wrote(mark string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acks[mark] = true
}

// failed notes an error that the server sent; a connection that is gone says nothing.
func (s *seen) failed(err error) {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.codes[e.Code] = e.Message
	}
}

// Results of this size are sent in parts; each row is larger than one that is kept in a record.
const (
	largeRows = 400
	rowBytes  = 1000
)

// wire is a client of the PostgreSQL door: reads in both protocols, large ones, and writes.
func (s *seen) wire(ctx context.Context, g *harness.Gateway, name string, c int) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	conn, err := pgconn.Connect(ctx, g.DSN(person, secret, connection))
	if err != nil {
		s.failed(err)
		return
	}
	defer conn.Close(context.Background())
	for i := 0; err == nil; i++ {
		mark := fmt.Sprintf("%si%d", name, i)
		id := 1 + (i*wires+c)%orders
		rows := 0
		switch i % 5 {
		case 0:
			rows, err = count(conn.Exec(ctx, fmt.Sprintf("SELECT id, '%s' FROM orders WHERE id = %d", mark, id)))
			s.read(mark, rows, false)
		case 1:
			r := conn.ExecParams(ctx, "SELECT id, $1::text FROM orders WHERE id = $2", [][]byte{[]byte(mark), fmt.Append(nil, id)}, nil, nil, nil)
			for r.NextRow() {
				rows++
			}
			_, err = r.Close()
			s.read(mark, rows, false)
		case 2:
			rows, err = count(conn.Exec(ctx, fmt.Sprintf("SELECT g, '%s', repeat('x', %d) FROM generate_series(1, %d) g", mark, rowBytes, largeRows)))
			s.read(mark, rows, true)
		case 3:
			_, err = count(conn.Exec(ctx, update(mark, id)))
			if err == nil {
				s.wrote(mark)
			}
		case 4: // two writes in a transaction, the second acknowledged with its end
			if _, err = count(conn.Exec(ctx, "BEGIN")); err != nil {
				break
			}
			if _, err = count(conn.Exec(ctx, update(mark, id))); err != nil {
				break
			}
			s.wrote(mark)
			_, err = count(conn.Exec(ctx, "COMMIT"))
		}
	}
	s.failed(err)
}

// count reads a result and counts the rows that arrive, whether or not it ends.
func count(r *pgconn.MultiResultReader) (rows int, err error) {
	for r.NextResult() {
		for rr := r.ResultReader(); rr.NextRow(); {
			rows++
		}
	}
	return rows, r.Close()
}

func update(mark string, id int) string {
	return fmt.Sprintf("UPDATE orders SET mark = '%s' WHERE id = %d", mark, id)
}

// agent is a client of the agents' door.
func (s *seen) agent(ctx context.Context, g *harness.Gateway, name string, c int) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	a, err := agent.Dial(ctx, g.MCPURL, token, connection)
	if err != nil {
		return
	}
	defer a.Close()
	for i := 0; ctx.Err() == nil; i++ {
		mark := fmt.Sprintf("%si%d", name, i)
		ans := a.Query(ctx, fmt.Sprintf("SELECT id, '%s' FROM orders WHERE id = %d", mark, 1+(i*agents+c)%orders))
		if ans.Failed() {
			if ans.Code != "CLOSED" {
				s.failed(&pgconn.PgError{Code: ans.Code, Message: ans.Error})
			}
			return
		}
		s.read(mark, ans.Rows, false)
	}
}
