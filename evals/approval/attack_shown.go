package approval

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
)

// shownAttacks have a reviewer shown, and counted, something else than what runs, or have a look at it leave something behind.
func shownAttacks() (out []attack) {
	const when = "UPDATE accounts SET n = n + 1 WHERE id = {id} AND "
	float := func(f float64) []byte { return binary.BigEndian.AppendUint64(nil, math.Float64bits(f)) }
	sent := func(sql string, format int16, oids []uint32, value []byte) stmt {
		return stmt{sql: sql, extended: true, formats: []int16{format}, oids: oids, params: [][]byte{value}}
	}
	for name, c := range map[string]struct {
		s    stmt
		text string // that has to be shown; "" for NULL
	}{
		"null":            {sent(when+"$1::text IS NULL", 0, nil, nil), ""},
		"the-word-null":   {sent(when+"$1::text IS NOT NULL", 0, nil, []byte("NULL")), "NULL"},
		"declared-bytea":  {sent(when+"octet_length($1) < 3", 0, []uint32{17}, []byte(`\x4142`)), `\x4142`},
		"four-letters":    {sent(when+"$1::text = 'open'", 1, nil, []byte("open")), "open"},
		"eight-letters":   {sent(when+"$1::text = 'open all'", 1, nil, []byte("open all")), "open all"},
		"float-in-binary": {sent(when+"n < $1::float8", 1, nil, float(1.5)), "1.5"},
		"money-in-binary": {sent(when+"$1::money IS NOT NULL", 1, nil, float(1)), `\x3ff0000000000000`},
	} {
		out = append(out, attack{family: "shown", name: name, most: 1, least: 1, run: func(ctx context.Context, t *try) error {
			conn, err := t.client(ctx, "ada")
			if err != nil {
				return err
			}
			id, err := t.ask(conn, c.s)
			if err != nil {
				return err
			}
			var r struct {
				Binding struct {
					Params []struct {
						Null bool
						Text string
					}
				}
			}
			if err := t.json(ctx, "GET", id, "", &r); err != nil {
				return err
			}
			if p := r.Binding.Params; len(p) != 1 || p[0].Text != c.text || p[0].Null != (c.text == "") {
				return fmt.Errorf("%w: shown as %+v", errLucky, p)
			}
			var pre struct{ Rows *int }
			if err := t.json(ctx, "POST", id, "/preview", &pre); err != nil {
				return err
			}
			if err := t.w.decide(ctx, "keeper", id, "approve", nil); err != nil {
				return err
			}
			t.send(conn, c.s)
			if n, err := t.w.effects(ctx, t.id); err != nil || pre.Rows == nil || *pre.Rows != n {
				return fmt.Errorf("%w: counted as %v, and %d rows were changed (%v)", errLucky, pre.Rows, n, err)
			}
			return nil
		}})
	}
	above := when + "$1::float8 > 0"
	is := when + "($1::text IS NULL OR region = $1)"
	for name, c := range map[string]struct {
		ask, use stmt
		last     map[string]any // the range of the parameter
	}{
		"form-null-for-word":       {sent(is, 0, nil, []byte("NULL")), sent(is, 0, nil, nil), map[string]any{"in": []string{"NULL"}}},
		"form-null-in-any":         {sent(is, 0, nil, []byte("r")), sent(is, 0, nil, nil), map[string]any{"any": true}},
		"form-binary-for-text":     {sent(above, 0, nil, []byte("4999")), sent(above, 1, nil, float(1)), map[string]any{"least": "4000"}},
		"form-too-little":          {sent(above, 1, nil, float(4999)), sent(above, 1, nil, float(1)), map[string]any{"least": "4000"}},
		"form-of-another-type":     {sent(above, 0, nil, []byte("4999")), sent(above, 0, []uint32{25}, []byte("5000")), map[string]any{"least": "4000"}},
		"form-word-for-other-word": {sent(is, 0, nil, []byte("NULL")), sent(is, 0, nil, []byte("r")), map[string]any{"in": []string{"NULL"}}},
	} {
		out = append(out, attack{family: "shown", name: name, run: func(ctx context.Context, t *try) error {
			conn, err := t.client(ctx, "ada")
			if err != nil {
				return err
			}
			id, err := t.ask(conn, c.ask)
			if err != nil {
				return err
			}
			var r struct{ Subject struct{ Constants []string } }
			if err := t.json(ctx, "GET", id, "", &r); err != nil {
				return err
			}
			var ranges []map[string]any
			for _, v := range r.Subject.Constants {
				ranges = append(ranges, map[string]any{"in": []string{v}})
			}
			if err := t.w.decide(ctx, "keeper", id, "approve", map[string]any{"mode": "form", "uses": 3, "ranges": append(ranges, c.last), "until": soon()}); err != nil {
				return err
			}
			if a := t.send(conn, c.use); !a.Failed() {
				return fmt.Errorf("%w: it ran", errLucky)
			}
			a := t.send(conn, c.ask) // it is good for what it was given for
			if t.control = !a.Failed(); !t.control {
				return fmt.Errorf("what was approved does not run: %s %s", a.Code, a.Error)
			}
			return nil
		}})
	}
	for name, set := range map[string]string{"setval": "setval('counter', 99)", "nextval": "nextval('counter')", "large-object": "lo_create(0)::int", "lock": "pg_try_advisory_lock(1)::int"} {
		out = append(out, attack{family: "shown", name: "preview-" + name, run: func(ctx context.Context, t *try) error {
			conn, err := t.client(ctx, "ada")
			if err != nil {
				return err
			}
			a := t.send(conn, text("UPDATE accounts SET n = "+set+" WHERE id = {id}"))
			id := handleOf(a.Error)
			if id == "" { // it is refused to whomever asks
				return nil
			}
			var pre struct{ Rows *int }
			if err := t.json(ctx, "POST", id, "/preview", &pre); err != nil {
				return err
			}
			if pre.Rows != nil {
				return fmt.Errorf("%w: a preview ran %s", errLucky, set)
			}
			return nil
		}})
	}
	return out
}

// json asks the interface for programs about a request, as a reviewer.
func (t *try) json(ctx context.Context, method, id, verb string, into any) error {
	c := call{method: method, path: "/api/v1/reviews/" + id + verb, user: "keeper", password: secretOf("keeper")}
	if method == http.MethodPost {
		c.body = "{}"
	}
	status, body, err := t.w.call(ctx, c)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("%s %s: %d %s", method, c.path, status, body)
	}
	return json.Unmarshal(body, into)
}
