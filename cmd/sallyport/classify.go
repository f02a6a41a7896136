package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/access"
	"sallyport/internal/config"
	"sallyport/internal/gateway"
)

type classifyOptions struct {
	*app
	connection     string
	output         string
	rows           int
	timeout        time.Duration
	drift          bool
	accept, reject []string
}

func newClassify(a *app) *cobra.Command {
	o := &classifyOptions{app: a}
	cmd := &cobra.Command{
		Use:   "classify [CONNECTION]",
		Short: "Propose labels for the columns of a database",
		Long: `Classify looks at every table of a database and proposes what its columns hold, by type, name (in many
languages), comment and a sample of the values. It writes the proposals to the labels file of the connection,
one line a column, with its confidence and the reason in words and counts; no value of the database is ever in it. People
decide there: they turn "proposed" into "accepted" or "rejected", or let --accept and --reject do so. Running it again adds
what is new and leaves every line that is there as it is.

It reads raw values with the role of the connection, in read-only transactions: at most --rows rows of a table and the
first 1000 characters of a value, with a time limit for each statement. Large tables are sampled all over (TABLESAMPLE).
What it could not read it says. It works beside a running gateway and is not in its record, for no value leaves it.

--drift reads no values: it lists the columns that nobody has judged and ends with status 1 if there is one.`,
		Example: `  sallyport classify shop
  sallyport classify shop --accept 'public.orders.*' --accept 'public.products.*'
  sallyport classify shop --drift`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.connection = args[0]
			}
			return o.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "", "labels file (default: the connection's labels_file, or CONNECTION.labels.yaml beside the configuration)")
	f.IntVar(&o.rows, "rows", 500, "rows to look at in each table")
	f.DurationVar(&o.timeout, "timeout", 5*time.Second, "time limit of each statement")
	f.BoolVar(&o.drift, "drift", false, "list what nobody has judged, and end with status 1 if there is something")
	f.StringArrayVar(&o.accept, "accept", nil, "accept the proposals for columns that match schema.table.column, with * and ?")
	f.StringArrayVar(&o.reject, "reject", nil, "reject them")
	return cmd
}

func (o *classifyOptions) run(ctx context.Context) error {
	cfg, err := o.load()
	if err != nil {
		return err
	}
	if o.connection == "" {
		if o.connection = onlyConnection(cfg); o.connection == "" {
			return usagef("which connection? there are %d", len(cfg.Connections))
		}
	}
	if _, known := cfg.File.Connections[o.connection]; !known {
		return usagef("there is no connection %s", o.connection)
	}
	if o.rows < 1 || o.rows > 100000 || o.timeout < time.Millisecond {
		return usagef("--rows is from 1 to 100000, --timeout at least 1ms")
	}
	path, named := cfg.LabelsPath(o.connection)
	if o.output != "" {
		path, named = o.output, named && filepath.Clean(o.output) == path
	}
	switch {
	case o.drift && (len(o.accept)+len(o.reject) > 0 || o.output != ""):
		return usagef("--drift goes alone")
	case o.drift && !named:
		return fmt.Errorf("connection %s has no labels file\n  hint: `sallyport classify %[1]s` writes one; name it as labels_file of the connection", o.connection)
	case o.drift:
		return o.drifted(ctx, cfg)
	}
	file, err := config.EditLabels(path, o.connection)
	if err != nil {
		return err
	}
	if len(o.accept)+len(o.reject) > 0 {
		return o.decide(file, path)
	}
	return o.propose(ctx, cfg, file, path, named)
}

// drifted lists what nobody has judged.
func (o *classifyOptions) drifted(ctx context.Context, cfg *config.Config) error {
	core, done, err := scratchCore(ctx, cfg)
	if err != nil {
		return err
	}
	defer done()
	list, err := core.Unjudged(o.connection)
	if err != nil {
		return err
	}
	for _, u := range list {
		state := "new"
		if u.Listed {
			state = "proposed"
		}
		fmt.Fprintf(o.out, "%-8s  %s\n", state, describeUnjudged(u))
	}
	if len(list) > 0 {
		fmt.Fprintf(o.err, "%s of %s nobody has judged\n", count(len(list), "column"), o.connection)
		return errReported
	}
	fmt.Fprintf(o.err, "every column of %s is judged\n", o.connection)
	return nil
}

// decide turns proposals into decisions.
func (o *classifyOptions) decide(file *config.LabelsEditor, path string) error {
	for _, d := range []struct {
		decision string
		patterns []string
	}{{config.Accepted, o.accept}, {config.Rejected, o.reject}} {
		for _, p := range d.patterns {
			match, err := columnPattern(p)
			if err != nil {
				return err
			}
			n, err := file.Decide(d.decision, match)
			if err != nil {
				return err
			}
			if n == 0 {
				return fmt.Errorf("no proposal in %s matches %q: nothing was changed", path, p)
			}
			fmt.Fprintf(o.out, "%s: %s\n", d.decision, count(n, "column"))
		}
	}
	if err := file.Save(); err != nil {
		return fmt.Errorf("write %s: %w", path, plain(err))
	}
	fmt.Fprintln(o.out, "a running gateway takes it on SIGHUP")
	return nil
}

func (o *classifyOptions) propose(ctx context.Context, cfg *config.Config, file *config.LabelsEditor, path string, named bool) error {
	known := map[access.ColumnID]bool{}
	for _, e := range file.Entries() {
		for _, c := range e.Columns {
			if id, err := config.ParseColumn(c); err == nil {
				known[id] = true
			}
		}
	}
	core, done, err := scratchCore(ctx, cfg)
	if err != nil {
		return err
	}
	defer done()
	bar := newProgress(o.err)
	found, err := core.Classify(ctx, o.connection, gateway.ClassifyOptions{Rows: o.rows, Timeout: o.timeout, Known: known, Progress: bar.show})
	bar.clear()
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return errors.New("stopped: nothing was written")
		}
		return err
	}
	entries := make([]config.LabelEntry, len(found.Proposals))
	for i, p := range found.Proposals {
		entries[i] = config.LabelEntry{Decision: config.Proposed, Label: p.Label, Columns: []string{config.ColumnName(p.Column)}, Confidence: p.Confidence, Why: p.Why}
		if p.Label == "" {
			entries[i].Label = config.NoLabel
		}
	}
	o.report(found)
	if len(entries) == 0 {
		fmt.Fprintf(o.out, "nothing new: %s stays as it is\n", path)
		return nil
	}
	if err := file.Add(entries); err != nil {
		return err
	}
	if err := file.Save(); err != nil {
		return fmt.Errorf("write %s: %w", path, plain(err))
	}
	fmt.Fprintf(o.out, "\nwrote %s to %s. Next:\n", count(len(entries), "proposal"), path)
	fmt.Fprintf(o.out, "  read it, and decide: change labels, turn \"proposed\" into accepted or rejected (--accept, --reject)\n")
	if !named {
		shown, err := filepath.Rel(cfg.Dir, path)
		if err != nil {
			shown = path
		}
		fmt.Fprintf(o.out, "  name it in %s: connections.%s.labels_file: %s\n", cfg.Path, o.connection, shown)
	}
	return nil
}

// report prints what was found and what was skipped.
func (o *classifyOptions) report(found *gateway.Classification) {
	labelled := slices.DeleteFunc(slices.Clone(found.Proposals), func(p gateway.ColumnProposal) bool { return p.Label == "" })
	fmt.Fprintf(o.out, "%s looked at, %s without a judgement: %s, nothing found in %d\n", count(found.Tables, "table"), count(len(found.Proposals), "column"),
		plural(len(labelled), "looks personal or secret", "look personal or secret"), len(found.Proposals)-len(labelled))
	if len(labelled) > 0 {
		fmt.Fprintln(o.out)
		w := tabwriter.NewWriter(o.out, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "  COLUMN\tLABEL\tSURE\tWHY")
		for _, p := range labelled {
			fmt.Fprintf(w, "  %s\t%s\t%.0f%%\t%s\n", columnName(p.Column), p.Label, 100*p.Confidence, p.Why)
		}
		w.Flush()
	}
	for _, s := range found.Skipped {
		what := printable(s.Table.String())
		if len(s.Columns) > 0 {
			what += ", column " + printable(strings.Join(s.Columns, ", "))
		}
		fmt.Fprintf(o.out, "  · values of %s were not read: %s\n", what, s.Why)
	}
}

// columnPattern understands schema.table.column with * and ? in each part, upper and lower case being one.
func columnPattern(pattern string) (func(access.ColumnID) bool, error) {
	parts := strings.Split(strings.ToLower(pattern), ".")
	if len(parts) != 3 || slices.Contains(parts, "") {
		return nil, usagef("%q is not a pattern: write schema.table.column, with * for any", pattern)
	}
	return func(id access.ColumnID) bool {
		return wildcard(parts[0], id.Relation.Schema) && wildcard(parts[1], id.Relation.Name) && wildcard(parts[2], id.Column)
	}, nil
}

// wildcard compares a name to a pattern with * and ?.
func wildcard(pattern, name string) bool {
	if pattern == "" {
		return name == ""
	}
	switch pattern[0] {
	case '*':
		for i := 0; i <= len(name); i++ {
			if wildcard(pattern[1:], name[i:]) {
				return true
			}
		}
		return false
	case '?':
		return name != "" && wildcard(pattern[1:], name[1:])
	}
	return name != "" && strings.EqualFold(pattern[:1], name[:1]) && wildcard(pattern[1:], name[1:])
}
