package benign

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"sort"
	"strings"

	"sallyport/evals/harness"
	"sallyport/evals/results"
	"sallyport/evals/wire"
	"sallyport/internal/testdb"
)

// BIRD's statements come without schemas, so one is inferred from them: the server is asked to
// explain each statement, and what it misses (a table, a column, another type of the column beside an
// operator) is added or changed until it is content or misses something else. The tables stay empty:
// what is measured is whether the gateway parses, resolves, decides, compiles and runs such
// statements for a masked principal, not what they answer.

// missing reads what the server misses out of its message.
var (
	missingTable  = regexp.MustCompile(`^relation "([^"]+)" does not exist$`)
	missingColumn = regexp.MustCompile(`^column (?:"?([A-Za-z0-9_]+)"?\.)?"?([^"]+?)"? does not exist$`)
	fromItem      = regexp.MustCompile(`(?i)\b(?:from|join|,)\s+"?([A-Za-z_][A-Za-z0-9_]*)"?(?:\s+(?:as\s+)?"?([A-Za-z_][A-Za-z0-9_]*)"?)?`)
	operands      = regexp.MustCompile(`^operator does not exist: (.+?) \S+ (.+)$`)
	before        = regexp.MustCompile(`(?:"?([A-Za-z_][A-Za-z0-9_]*)"?\.)?"?([A-Za-z_][A-Za-z0-9_]*)"?\s*$`)
	after         = regexp.MustCompile(`^[^\sA-Za-z0-9_"]*\s*(?:"?([A-Za-z_][A-Za-z0-9_]*)"?\.)?"?([A-Za-z_][A-Za-z0-9_]*)"?`)
	compared      = regexp.MustCompile(`(?:"?([A-Za-z_][A-Za-z0-9_]*)"?\.)?"?([A-Za-z_][A-Za-z0-9_]*)"?\s*(?:[=<>!]+|(?i:in\s*\(|between)).{0,60}$`)
	summed        = regexp.MustCompile(`(?i)^function (?:sum|avg|round)\(text`)
	argument      = regexp.MustCompile(`^\w+\s*\(\s*(?:"?([A-Za-z_][A-Za-z0-9_]*)"?\.)?"?([A-Za-z_][A-Za-z0-9_]*)"?`)
	dates         = regexp.MustCompile(`(?i)(^dob$|birthday|_date$|date$|opendate|closeddate|lastaccessdate|received)`)
)

type birdStatement struct{ id, db, sql string }

func readBird(file string) ([]birdStatement, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var raw map[string]string
	if err := json.Unmarshal(b, &raw); err != nil {
		return nil, err
	}
	var all []birdStatement
	for id, text := range raw {
		sql, db, ok := strings.Cut(text, "\t----- bird -----\t")
		if !ok {
			return nil, fmt.Errorf("statement %s names no database", id)
		}
		all = append(all, birdStatement{id, strings.TrimSpace(db), strings.TrimRight(strings.TrimSpace(sql), ";")})
	}
	sort.Slice(all, func(i, j int) bool {
		return len(all[i].id) < len(all[j].id) || len(all[i].id) == len(all[j].id) && all[i].id < all[j].id
	})
	return all, nil
}

func runBird(ctx context.Context, server *testdb.Server, file string) ([]verdict, []results.Figure, error) {
	statements, err := readBird(file)
	if err != nil {
		return nil, nil, err
	}
	corpus, err := harness.Hash("sql/bird/gpt4_postgresql.json", file)
	if err != nil {
		return nil, nil, err
	}
	w := &world{server: server}
	defer w.close()
	connections := map[string]string{}
	for _, s := range statements {
		db := "bird_" + s.db
		if connections[db] == "" {
			if err := server.Exec(ctx, "postgres", "create database "+db); err != nil {
				return nil, nil, err
			}
			connections[db] = server.DSN(db)
		}
		if err := w.infer(ctx, db, s.sql); err != nil {
			return nil, nil, err
		}
	}
	w.gateway, err = harness.Start(ctx, harness.Spec{
		Connections: connections,
		Principals:  []harness.Principal{{Name: person, Groups: []string{"analysts"}, Password: secret}},
		Labels:      birdLabels, Masks: Masks, Policy: policy,
	})
	if err != nil {
		return nil, nil, err
	}
	var all []verdict
	n := map[string]int{}
	for _, s := range statements {
		v, err := w.compare(ctx, query{"gpt4:" + s.id, "bird_" + s.db, s.sql})
		if err != nil {
			return nil, nil, err
		}
		n[v.state]++
		all = append(all, v)
	}
	share := results.Share("benign.bird.answered_share", n["plain"], n["plain"]+n["refused"])
	share.Note = "answered as the server does (rows, or the same error of computing with no rows), of the statements that it accepts on an inferred, empty schema"
	left := results.Count("benign.bird.rejected_by_server", n["rejected"], len(all))
	left.Note = "not accepted by the server itself on the inferred schema: left out"
	figures := []results.Figure{share, left}
	for i := range figures {
		figures[i].Command, figures[i].Corpus = "go run ./evals/cmd/benign", corpus
	}
	return all, figures, nil
}

// birdLabels mask what looks personal in BIRD's databases.
var birdLabels = []harness.Label{
	{Name: "pii.name", Columns: []string{"*.*.first_name", "*.*.last_name", "*.*.forename", "*.*.surname", "*.*.full_name", "*.*.player_name", "*.*.displayname", "*.*.admfname*", "*.*.admlname*"}},
	{Name: "pii.email", Columns: []string{"*.*.*email*"}},
	{Name: "pii.phone", Columns: []string{"*.*.*phone*"}},
	{Name: "pii.address", Columns: []string{"*.*.*address*", "*.*.street*"}},
	{Name: "pii.birth", Columns: []string{"*.*.birthday", "*.*.dob", "*.*.birth_date"}},
}

// infer adds to the schema what a statement needs, at most so many times.
func (w *world) infer(ctx context.Context, db, sql string) error {
	for range 60 {
		a, err := w.ask(ctx, w.server.DSN(db), "EXPLAIN "+sql)
		if err != nil {
			return err
		}
		change := ""
		switch {
		case a.Code == "42P01":
			if m := missingTable.FindStringSubmatch(a.Error); m != nil {
				change = "create table " + ident(m[1]) + " ()"
			}
		case a.Code == "42703":
			if m := missingColumn.FindStringSubmatch(a.Error); m != nil {
				if table := owner(ctx, w, db, sql, m[1]); table != "" {
					change = fmt.Sprintf("alter table %s add column if not exists %s %s", ident(table), ident(m[2]), guess(m[2]))
				}
			}
		case a.Code == "42883" || a.Code == "22P02":
			change = retype(ctx, w, db, sql, a)
		}
		if change == "" {
			return nil
		}
		if a, err := w.ask(ctx, w.server.DSN(db), change); err != nil || a.Failed() {
			return err // the statement is left to be rejected
		}
	}
	return nil
}

// retype changes the type of the column beside the place that an error points at.
func retype(ctx context.Context, w *world, db, sql string, a wire.Answer) string {
	at := a.At - 1 - len("EXPLAIN ")
	if at < 0 || at > len(sql) {
		return ""
	}
	alter := func(m []string, typ string) string {
		if m == nil {
			return ""
		}
		table := owner(ctx, w, db, sql, m[1])
		if table == "" {
			return ""
		}
		return fmt.Sprintf("alter table %s alter column %s type %s using null", ident(table), ident(strings.ToLower(m[2])), typ)
	}
	if a.Code == "22P02" { // a word where a number was expected: the column is text
		return alter(compared.FindStringSubmatch(sql[:at]), "text")
	}
	if summed.MatchString(a.Error) {
		return alter(argument.FindStringSubmatch(sql[at:]), "numeric")
	}
	m := operands.FindStringSubmatch(a.Error)
	if m == nil {
		return ""
	}
	switch {
	case m[1] == "date": // a date as text is what such statements have in mind
		return alter(before.FindStringSubmatch(sql[:at]), "text")
	case m[1] == "text":
		return alter(before.FindStringSubmatch(sql[:at]), "numeric")
	case m[2] == "text":
		return alter(after.FindStringSubmatch(sql[at:]), "numeric")
	}
	return ""
}

// owner finds the table that a missing column belongs to: the one behind its qualifier, else the
// first one of the statement.
func owner(ctx context.Context, w *world, db, sql, qualifier string) string {
	for _, m := range fromItem.FindAllStringSubmatch(sql, -1) {
		table, alias := strings.ToLower(m[1]), strings.ToLower(m[2])
		if qualifier != "" && strings.ToLower(qualifier) != alias && strings.ToLower(qualifier) != table {
			continue
		}
		a, err := w.ask(ctx, w.server.DSN(db), "select from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace and relname = '"+table+"'")
		if err == nil && countRows(a) == 1 {
			return table
		}
	}
	return ""
}

func countRows(a wire.Answer) int { return a.Rows }

func guess(column string) string {
	switch {
	case dates.MatchString(column):
		return "date"
	default:
		return "text"
	}
}
