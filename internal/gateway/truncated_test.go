package gateway

import (
	"context"
	"strings"
	"testing"
)

func TestQuerySaysWhenThePolicyCutTheAnswer(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	for _, q := range []struct {
		sql       string
		maxRows   int
		rows      int
		truncated bool
		note      bool // of the policy's limit
	}{
		{"select id from orders", 1000, 100, true, true},
		{"select id from orders", 0, 100, true, true},
		{"select id from orders", 100, 100, true, true},
		{"select id from orders", 40, 40, true, false},
		{"select id from orders limit 100", 1000, 100, false, false},
		{"select id from orders limit 40", 40, 40, false, false},
	} {
		res, err := s.Query(context.Background(), Query{SQL: q.sql, MaxRows: q.maxRows})
		if err != nil {
			t.Fatalf("%s: %v", q.sql, err)
		}
		if len(res.Rows) != q.rows || res.Truncated != q.truncated {
			t.Errorf("%s, at most %d: %d rows, truncated %v", q.sql, q.maxRows, len(res.Rows), res.Truncated)
		}
		if noted := strings.Contains(strings.Join(res.Notes, "\n"), "at most 100 rows"); noted != q.note || len(res.Notices) > 0 {
			t.Errorf("%s, at most %d: notes %q, notices %q", q.sql, q.maxRows, res.Notes, res.Notices)
		}
	}
}
