package twin

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"sallyport/evals/wire"
)

// canaries finds raw labelled values in answers, whatever differs or not: as they are, in hex, in
// base64, reversed, in any case. Values shorter than gram are too likely to be there by chance.
type canaries struct {
	byGram  map[string][]canary // first gram bytes, lower-case
	sides   map[string]int      // value -> in which twins it is: 1, 2, or 3 for both
	numbers int                 // least length of a number, a time or a count of days
}

type canary struct{ form, value string } // form is lower-case

const gram = 6

// shown are the labelled columns whose mask shows a value that could be a real one by chance.
var shown = map[Kind]map[string]bool{Partial: {"age": true, "salary": true, "born": true, "seen": true}, Generalise: numeric}

// newCanaries reads the raw values of both sides.
func newCanaries(ctx context.Context, w *World) (*canaries, error) {
	c := &canaries{byGram: map[string][]canary{}, sides: map[string]int{}, numbers: gram}
	if w.Kind == Token || w.Plain { // tokens and what fuzzers compute are full of digits: short numbers turn up by chance
		c.numbers = 9
	}
	public := map[string]bool{} // guesses hold some values as unlabelled constants
	for i, side := range []*Side{w.A, w.B} {
		conn, err := pgx.Connect(ctx, side.Direct())
		if err != nil {
			return nil, err
		}
		defer conn.Close(ctx)
		for _, v := range texts(ctx, conn, `select email from guesses`) {
			public[v] = true
		}
		for _, col := range columns {
			if shown[w.Kind][col.name] {
				continue
			}
			table := col.table
			if !strings.Contains(table, ".") {
				table = pgx.Identifier{table}.Sanitize()
			}
			sql := fmt.Sprintf("select %s::text from %s where %[1]s is not null", pgx.Identifier{col.name}.Sanitize(), table)
			for _, v := range texts(ctx, conn, sql) {
				if !public[v] {
					c.add(v, 1<<i)
				}
			}
		}
		if w.Corpora != "" {
			for _, v := range texts(ctx, conn, "select ssn from customers where length(ssn) > 7 union select ssn from orders where length(ssn) > 7") {
				c.add(v, 1<<i)
			}
		}
		if w.Kind == Filter {
			for _, sql := range hidden {
				for _, v := range texts(ctx, conn, sql) {
					c.add(v, 1<<i)
				}
			}
		}
	}
	return c, nil
}

func texts(ctx context.Context, conn *pgx.Conn, sql string) []string {
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return nil
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[*string])
	if err != nil {
		return nil
	}
	var out []string
	for _, v := range all {
		if v != nil {
			out = append(out, *v)
		}
	}
	return out
}

func (c *canaries) add(v string, side int) {
	if len(v) < gram || len(v) < c.numbers && strings.Trim(v, "0123456789.:- days") == "" {
		return
	}
	c.sides[v] |= side
	if c.sides[v] != side { // its forms are there
		return
	}
	rev := []byte(v)
	for i, j := 0, len(rev)-1; i < j; i, j = i+1, j-1 {
		rev[i], rev[j] = rev[j], rev[i]
	}
	for _, form := range []string{v, hex.EncodeToString([]byte(v)), base64.StdEncoding.EncodeToString([]byte(v)), string(rev)} {
		form = strings.ToLower(form)
		c.byGram[form[:gram]] = append(c.byGram[form[:gram]], canary{form, v})
	}
}

// seen gives a raw value that the text holds and the statement itself does not, or "".
func (c *canaries) seen(text, sql string) string {
	text, sql = strings.ToLower(text), strings.ToLower(sql)
	for i := 0; i+gram <= len(text); i++ {
		for _, k := range c.byGram[text[i:i+gram]] {
			if strings.HasPrefix(text[i:], k.form) && !strings.Contains(sql, k.form) {
				return k.value
			}
		}
	}
	return ""
}

// answers looks into both sides' answers. What both say alike, and only one side holds, is there by chance: the
// other side cannot have told it.
func (c *canaries) answers(a, b wire.Answer, sql string) (value string, chance bool) {
	textA, textB := a.Text(), b.Text()
	if value = c.seen(textA, sql); value == "" && textA != textB {
		value = c.seen(textB, sql)
	}
	return value, value != "" && textA == textB && c.sides[value] != 3
}
