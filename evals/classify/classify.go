// Package classify measures `sallyport classify` on columns of which it is known what they hold: the typed columns of
// synthetic people, in tables whose column names are kept, taken away, or those of other columns.
//
// It is black-box: the program classifies a database, and its labels file is read. The corpus is the development half;
// the words that names are matched with were written with its header in sight, so the figure for kept names is of names that
// are known. Start with Main.
package classify

import (
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"

	"sallyport/evals/harness"
	"sallyport/evals/results"
	"sallyport/internal/testdb"
)

const command = "go run ./evals/cmd/classify"

// truth is what the corpus's columns hold. Others hold nothing to be masked: places larger than a street, age, occupation.
var truth = map[string]string{
	"Gender": "pii.gender", "GivenName": "pii.name", "MiddleInitial": "pii.name", "Surname": "pii.name", "MothersMaiden": "pii.name",
	"StreetAddress": "pii.address", "ZipCode": "pii.address", "EmailAddress": "pii.email", "Username": "pii.username", "Password": "secret.credential",
	"TelephoneNumber": "pii.phone", "Birthday": "pii.birth", "CVV2": "pii.card", "CCExpires": "pii.card", "NationalID": "pii.national_id",
}

const none = "none"

// blocks is how many tables the rows are divided into: one decision a column in each.
const blocks = 8

// namings give column i a name, and have a name of their own in the figures.
var namings = []struct {
	name string
	of   func(header []string, i int) string
}{
	{"names_kept", func(h []string, i int) string { return h[i] }},
	{"names_removed", func(_ []string, i int) string { return fmt.Sprintf("c%d", i+1) }},
	{"names_misleading", func(h []string, i int) string { return h[(i+11)%len(h)] }},
}

// Main loads the corpus, runs the classifier and records the figures, unless dry.
func Main(ctx context.Context, dry bool) error {
	corpora, err := harness.Corpora()
	if err != nil {
		return err
	}
	path := filepath.Join(corpora, "pii", "people_dev.csv")
	corpus, err := harness.Hash("pii/people_dev.csv", path)
	if err != nil {
		return err
	}
	header, rows, err := read(path)
	if err != nil {
		return err
	}
	server, err := testdb.Start(testdb.Options{})
	if err != nil {
		return err
	}
	defer server.Stop()
	if err := server.Exec(ctx, "postgres", "CREATE DATABASE people"); err != nil {
		return err
	}
	for _, naming := range namings {
		for b := range blocks {
			if err := server.Exec(ctx, "people", load(naming.name, b, header, rows, naming.of)); err != nil {
				return err
			}
		}
	}
	labels, err := classify(ctx, server.DSN("people"))
	if err != nil {
		return err
	}
	var figures []results.Figure
	for _, naming := range namings {
		m := newMatrix()
		for b := range blocks {
			for i, column := range header {
				want := truth[column]
				if want == "" {
					want = none
				}
				got, ok := labels[fmt.Sprintf("public.%s_%d.%s", naming.name, b, strings.ToLower(naming.of(header, i)))]
				if !ok {
					return fmt.Errorf("%s %d: column %s is not in the labels file", naming.name, b, column)
				}
				m.add(want, got)
				if dry && got != want {
					fmt.Printf("%s %d %s: %s, want %s\n", naming.name, b, column, got, want)
				}
			}
		}
		figures = append(figures, m.figures(naming.name)...)
	}
	for i := range figures {
		figures[i].Command, figures[i].Corpus = command, corpus
		fmt.Printf("%-42s %.3f of %d\n", figures[i].Name, figures[i].Value, figures[i].N)
	}
	if dry {
		return nil
	}
	return results.Check(figures...)
}

func read(path string) (header []string, rows [][]string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil || len(all) < 2 {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	all[0][0] = strings.TrimPrefix(all[0][0], "\ufeff")
	return all[0], all[1:], nil
}

// load makes one table of text columns and fills it with a part of the rows. Names are folded, as most databases have them.
func load(table string, block int, header []string, rows [][]string, name func([]string, int) string) string {
	var b strings.Builder
	columns := make([]string, len(header))
	for i := range header {
		columns[i] = strings.ToLower(name(header, i)) + " text"
	}
	fmt.Fprintf(&b, "CREATE TABLE %s_%d (%s);\nINSERT INTO %[1]s_%[2]d VALUES ", table, block, strings.Join(columns, ", "))
	size := (len(rows) + blocks - 1) / blocks
	for n, row := range rows[block*size : min(len(rows), (block+1)*size)] {
		if n > 0 {
			b.WriteString(", ")
		}
		values := make([]string, len(row))
		for i, v := range row {
			values[i] = "NULL"
			if v != "" {
				values[i] = "'" + strings.ReplaceAll(v, "'", "''") + "'"
			}
		}
		b.WriteString("(" + strings.Join(values, ", ") + ")")
	}
	return b.String()
}

// classify runs the program on a database and gives the label of each column.
func classify(ctx context.Context, dsn string) (map[string]string, error) {
	binary, err := harness.Binary()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sallyport-classify-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for name, text := range map[string]string{
		"sallyport.yaml": "data_dir: data\nlisten: {pgwire: {address: 127.0.0.1:0}}\nconnections: {people: {driver: postgres, dsn_env: PEOPLE_DSN}}\npolicies: [policy.cedar]\n",
		"policy.cedar":   "permit (principal, action == Action::\"connect\", resource);\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	cmd := exec.CommandContext(ctx, binary, "classify", "people", "-c", filepath.Join(dir, "sallyport.yaml"))
	cmd.Env = append(os.Environ(), "PEOPLE_DSN="+dsn)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("sallyport classify: %w\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "people.labels.yaml"))
	if err != nil {
		return nil, err
	}
	var file struct {
		Labels []struct {
			Label   string
			Columns []string
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	labels := map[string]string{}
	for _, e := range file.Labels {
		for _, c := range e.Columns {
			labels[c] = e.Label
		}
	}
	return labels, nil
}

// matrix counts decisions.
type matrix struct {
	right, wanted, given map[string]int
	personal, found      int // columns with a label, and those of them that got some label
	plain, hidden        int // columns without one, and those of them that got one
}

func newMatrix() *matrix {
	return &matrix{right: map[string]int{}, wanted: map[string]int{}, given: map[string]int{}}
}

func (m *matrix) add(want, got string) {
	m.wanted[want]++
	m.given[got]++
	if want == got {
		m.right[want]++
	}
	switch {
	case want != none:
		m.personal++
		if got != none {
			m.found++
		}
	default:
		m.plain++
		if got != none {
			m.hidden++
		}
	}
}

// figures: F1 is the mean over the labels that the corpus has, with none for one of them.
func (m *matrix) figures(naming string) []results.Figure {
	var labels []string
	for l := range m.wanted {
		labels = append(labels, l)
	}
	sort.Strings(labels)
	sum := 0.0
	for _, l := range labels {
		sum += 2 * float64(m.right[l]) / float64(m.wanted[l]+m.given[l])
	}
	return []results.Figure{
		{Name: "classify.macro_f1." + naming, Value: sum / float64(len(labels)), Unit: "ratio", N: m.personal + m.plain,
			Note: fmt.Sprintf("mean F1 of %d labels, columns without one among them", len(labels))},
		results.Share("classify.personal_found."+naming, m.found, m.personal),
		results.Share("classify.plain_hidden."+naming, m.hidden, m.plain),
	}
}
