package benign

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"sallyport/evals/harness"
	"sallyport/evals/results"
	"sallyport/internal/testdb"
)

//go:embed own
var own embed.FS

// suites are this project's own statements, each with its schema: analytics, and what tools ask.
var suites = []string{"tpch", "tpcds", "tools"}

// ownLabels mask what is personal in their schemas.
var ownLabels = []harness.Label{
	{Name: "pii.name", Columns: []string{"*.*.first_name", "*.*.last_name", "*.customer.c_name", "*.customer.c_first_name", "*.customer.c_last_name"}},
	{Name: "pii.email", Columns: []string{"*.*.email", "*.*.c_email_address"}},
	{Name: "pii.phone", Columns: []string{"*.*.phone", "*.*.c_phone", "*.*.s_phone"}},
	{Name: "pii.address", Columns: []string{"*.*.c_address", "*.*.s_address", "*.*.ca_street_name"}},
}

// suite is a file of own/: a schema, and statements of one line.
type suite struct {
	name, schema string
	statements   []ownStatement
}

type ownStatement struct {
	id, sql string
	refuse  bool // refused on purpose
}

func readSuite(name string) (suite, error) {
	b, err := own.ReadFile("own/" + name + ".sql")
	if err != nil {
		return suite{}, err
	}
	s := suite{name: name}
	title, refuse := "", false
	for n, line := range strings.Split(string(b), "\n") {
		switch {
		case strings.HasPrefix(line, "-- refuse"):
			refuse = true
		case strings.HasPrefix(line, "-- "):
			title = strings.TrimPrefix(line, "-- ")
		case line == "":
		case title == "schema":
			s.schema += line + "\n"
		default:
			s.statements = append(s.statements, ownStatement{fmt.Sprintf("%s:%d, %s", name, n+1, title), strings.TrimSuffix(line, ";"), refuse})
			refuse = false
		}
	}
	return s, nil
}

// runOwn runs the suites, and psql with its commands, for a masked principal who may only read.
func runOwn(ctx context.Context, server *testdb.Server) ([]verdict, []results.Figure, error) {
	connections := map[string]string{}
	var all []suite
	for _, name := range suites {
		s, err := readSuite(name)
		if err != nil {
			return nil, nil, err
		}
		if err := server.Exec(ctx, "postgres", "create database "+name); err != nil {
			return nil, nil, err
		}
		if err := server.Exec(ctx, name, s.schema); err != nil {
			return nil, nil, fmt.Errorf("schema of %s: %w", name, err)
		}
		connections[name] = server.DSN(name)
		all = append(all, s)
	}
	w := &world{server: server}
	defer w.close()
	var err error
	w.gateway, err = harness.Start(ctx, harness.Spec{
		Connections: connections,
		Principals:  []harness.Principal{{Name: person, Groups: []string{"analysts"}, Password: secret}},
		Labels:      ownLabels, Masks: Masks, Policy: policy,
	})
	if err != nil {
		return nil, nil, err
	}
	root, err := harness.Root()
	if err != nil {
		return nil, nil, err
	}
	corpus, err := harness.Hash("evals/benign/own", filepath.Join(root, "evals", "benign", "own"))
	if err != nil {
		return nil, nil, err
	}
	var verdicts []verdict
	var figures []results.Figure
	conclude := func(name string, of []verdict, what string) {
		verdicts = append(verdicts, of...)
		n := count(of)
		share := results.Share("benign."+name+".refused_share", n["refused"], n["plain"]+n["refused"])
		share.Note = fmt.Sprintf("%s: refused, of those that the server itself accepts (%d it does not), but for %d that are refused on purpose", what, n["rejected"], n["rightly"])
		share.Command, share.Corpus = "go run ./evals/cmd/benign", corpus
		figures = append(figures, share)
	}
	for _, s := range all {
		var of []verdict
		for _, q := range s.statements {
			v, err := w.compare(ctx, query{q.id, s.name, q.sql})
			if err != nil {
				return nil, nil, err
			}
			if q.refuse && v.state == "refused" {
				v.state = "rightly"
			}
			of = append(of, v)
		}
		conclude(s.name, of, map[string]string{"tpch": "queries in the manner of TPC-H", "tpcds": "queries in the manner of TPC-DS", "tools": "what pgAdmin, DBeaver and drivers ask when they start and show their trees"}[s.name])
	}
	of, err := w.psql(ctx, "tpch")
	if err != nil {
		return nil, nil, err
	}
	conclude("psql", of, "commands of psql that read the catalogs")
	return verdicts, figures, nil
}

// compare puts one statement to the server and to the door.
func (w *world) compare(ctx context.Context, q query) (verdict, error) {
	v := verdict{query: q}
	direct, err := w.ask(ctx, w.server.DSN(q.db), q.sql)
	if err != nil {
		return v, err
	}
	if direct.Failed() && !strings.HasPrefix(direct.Code, "22") && !strings.HasPrefix(direct.Code, "21") {
		v.state, v.code, v.message = "rejected", direct.Code, direct.Error
		return v, nil
	}
	door, err := w.ask(ctx, w.gateway.DSN(person, secret, q.db), q.sql)
	if err != nil {
		return v, err
	}
	v.state, v.code, v.message = "plain", door.Code, door.Error
	if door.Code != direct.Code {
		v.state = "refused"
	}
	return v, nil
}

func count(all []verdict) map[string]int {
	n := map[string]int{}
	for _, v := range all {
		n[v.state]++
	}
	return n
}

// complaint is an error as psql reports it for a line of a script.
var complaint = regexp.MustCompile(`(?m)^psql:[^:]*:(\d+): (?:ERROR|FATAL|error): +(.*)$`)

// psql runs the commands in one psql each way and compares which of them fail.
func (w *world) psql(ctx context.Context, db string) ([]verdict, error) {
	text, err := own.ReadFile("own/psql.txt")
	if err != nil {
		return nil, err
	}
	dir, err := harness.Out("benign")
	if err != nil {
		return nil, err
	}
	script := filepath.Join(dir, "psql.sql")
	commands := strings.Split(strings.TrimSpace(string(text)), "\n")
	commands[0] = "-- " + commands[0]
	if err := os.WriteFile(script, []byte(strings.Join(commands, "\n")+"\n"), 0o644); err != nil {
		return nil, err
	}
	program, err := testdb.LookPath("psql")
	if err != nil {
		return nil, err
	}
	fails := func(dsn string) (map[int]string, error) {
		cmd := exec.CommandContext(ctx, program, "-X", "-q", "-d", dsn, "-f", script)
		cmd.Env = append(os.Environ(), "PAGER=cat", "LC_ALL=C")
		var errors strings.Builder
		cmd.Stderr = &errors
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("psql: %w: %s", err, errors.String())
		}
		byLine := map[int]string{}
		for _, m := range complaint.FindAllStringSubmatch(errors.String(), -1) {
			line, _ := strconv.Atoi(m[1])
			byLine[line] = m[2]
		}
		return byLine, nil
	}
	direct, err := fails(w.server.DSN(db))
	if err != nil {
		return nil, err
	}
	door, err := fails(w.gateway.DSN(person, secret, db))
	if err != nil {
		return nil, err
	}
	var all []verdict
	for i, command := range commands[1:] {
		v := verdict{query: query{"psql: " + command, db, command}, state: "plain"}
		if direct[i+2] != "" {
			v.state, v.message = "rejected", direct[i+2]
		} else if door[i+2] != "" {
			v.state, v.message = "refused", door[i+2]
		}
		all = append(all, v)
	}
	return all, nil
}

// refusedShare is over all corpora: what the server accepts and the door does not answer.
func refusedShare(all []verdict) results.Figure {
	n := count(all)
	accepted := len(all) - n["rejected"] - n["rightly"]
	share := results.Share("benign.refused_share", n["refused"], accepted)
	share.Note = "defog, BIRD, queries in the manner of TPC-H and TPC-DS, psql's commands, what graphical clients and drivers ask: refused or failed at the door only, of those that the server accepts; each is listed"
	share.Command = "go run ./evals/cmd/benign"
	return share
}
