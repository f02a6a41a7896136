package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"sallyport/internal/access"
	"sallyport/internal/config"
	"sallyport/internal/gateway"
	"sallyport/internal/pgdsn"
	"sallyport/mask"
	"sallyport/sqlguard/policy"
)

type checkOptions struct {
	*app
	offline bool
}

func newCheck(a *app) *cobra.Command {
	o := &checkOptions{app: a}
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Validate configuration and policies against the live databases and identity providers",
		Long: `Check reads the configuration and the policies, asks every identity provider who it is and by which keys it signs (within 10 s; one
that does not answer is warned of, one that calls itself otherwise than the configuration does is a problem), connects to every database, and prints each column that
carries a label: which label, how it is masked, and which rule says so. It ends with status 0 only when
nothing is wrong: no unknown key, no policy that cannot match, no forbid or condition for what the database does not
have, no rule that names a table and has no column there, no view that masked principals may not use, no unreachable
database. What is only hidden more than was meant (a mask that
does not fit its column, or has none) is told of without that. It changes nothing and works beside a running
gateway.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	cmd.Flags().BoolVar(&o.offline, "offline", false, "connect neither to the databases nor to the identity providers")
	return cmd
}

func (o *checkOptions) run(ctx context.Context) error {
	cfg, err := o.load()
	if err != nil {
		return err
	}
	problems := len(cfg.Warnings)
	fmt.Fprintf(o.out, "configuration  %s: %s, %s, %s\n", cfg.Path, count(len(cfg.Connections), "connection"), count(len(cfg.Principals), "principal"), count(len(cfg.Labels), "label rule"))

	set, err := loadPolicies(cfg)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.out, "policies       %s in %s\n", plural(set.Len(), "policy", "policies"), count(len(cfg.Policies), "file"))
	problems += printStrangers(o.out, strangers(cfg, set))
	if set.Holds() && cfg.File.Listen.Web == nil {
		problems++
		fmt.Fprintln(o.out, "  ! policies hold statements until somebody approves them (@review), and there is no door to do so at: open `listen.web`")
	}
	problems += checkTLS(o.out, cfg)
	for _, c := range cfg.Connections {
		if weak := pgdsn.Weak(c.DSN); weak != "" { // agreed to, or the configuration would not be sound
			fmt.Fprintf(o.out, "  · connections.%s: its database is on another machine, and %s; `insecure: true` takes that\n", c.Name, weak)
		}
	}
	for _, n := range cfg.Channels {
		if err := tryChannel(&n); err != nil {
			problems++
			fmt.Fprintf(o.out, "  ! notify, channel %s: %v\n", n.Name, err)
		}
	}
	if err := writable(cfg.DataDir); err != nil {
		problems++
		fmt.Fprintf(o.out, "  ! data_dir: %v\n", err)
	}
	if o.offline {
		return o.verdict(problems)
	}
	bad, err := o.providers(ctx, cfg)
	if err != nil {
		return err
	}
	problems += bad

	core, done, err := scratchCore(ctx, cfg)
	if err != nil {
		return err
	}
	defer done()
	results, unused := core.Check(ctx)
	for _, r := range results {
		problems += o.connection(r)
	}
	if len(unused) > 0 {
		fmt.Fprintln(o.out)
		problems += o.problems(unused)
	}
	return o.verdict(problems)
}

// connection prints what was found behind one connection and gives the number of problems.
func (o *checkOptions) connection(r gateway.CheckResult) int {
	fmt.Fprintln(o.out)
	if r.Err != nil {
		fmt.Fprintf(o.out, "%s\n  ! %s\n", r.Connection, strings.ReplaceAll(describe(r.Err), "\n", "\n  "))
		return 1
	}
	fmt.Fprintf(o.out, "%s  (%s, %s, %s)\n", r.Connection, r.Server, count(r.Relations, "relation"), plural(len(r.Labels), "labelled column", "labelled columns"))
	if len(r.Labels) > 0 {
		w := tabwriter.NewWriter(o.out, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "  COLUMN\tLABEL\tMASK\tFROM")
		for _, l := range r.Labels {
			labels := make([]string, len(l.Labels))
			for i, name := range l.Labels {
				labels[i] = string(name)
			}
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", columnName(l.Column), strings.Join(labels, ", "), l.Mask.Transform, printable(l.Why))
		}
		w.Flush()
	}
	for _, w := range r.Writers {
		fmt.Fprintf(o.out, "  · %s\n", w)
	}
	o.unjudged(r)
	return o.problems(r.Problems)
}

// unjudged tells of columns that nobody has judged. It is no problem: what may hold text is hidden, and `sallyport classify
// --drift` is there for those to whom it is one.
func (o *checkOptions) unjudged(r gateway.CheckResult) {
	proposed := 0
	for _, u := range r.Unjudged {
		if u.Listed {
			proposed++
			continue
		}
		fmt.Fprintf(o.out, "  · nobody has judged %s\n", describeUnjudged(u))
	}
	if proposed > 0 {
		fmt.Fprintf(o.out, "  · %s wait%s for a decision in the labels file\n", count(proposed, "proposal"), map[bool]string{true: "s"}[proposed == 1])
	}
}

// problems prints them and gives the number of those by which something is refused or left unmasked.
func (o *checkOptions) problems(list []mask.Problem) (grave int) {
	for _, p := range list {
		mark := "·"
		if !p.Safe {
			mark = "!"
			grave++
		}
		fmt.Fprintf(o.out, "  %s %s\n", mark, strings.ReplaceAll(p.String(), "\n", "\n    "))
	}
	return grave
}

func (o *checkOptions) verdict(problems int) error {
	fmt.Fprintln(o.out)
	if problems > 0 {
		fmt.Fprintf(o.out, "%s (marked ! or warned of above)\n", count(problems, "problem"))
		return errReported
	}
	fmt.Fprintln(o.out, "all good")
	return nil
}

// stranger is a name in a policy that the configuration does not know. It may be meant for later; a
// near miss of a name that is known is a mistake: a forbid for the group "enginers" forbids nothing,
// and nobody would notice.
type stranger struct {
	where        string // it is named, as a policy
	name, remedy string // name as it stands there
	meant        string // the known name that it most likely stands for, or ""
}

// printStrangers tells about them and gives the number of likely mistakes.
func printStrangers(w io.Writer, list []stranger) (mistakes int) {
	for _, s := range list {
		if s.meant != "" {
			mistakes++
			fmt.Fprintf(w, "  ! %s names %s, which is not configured: did you mean %q?\n", s.where, s.name, s.meant)
		} else {
			fmt.Fprintf(w, "  · %s names %s: %s\n", s.where, s.name, s.remedy)
		}
	}
	return mistakes
}

func strangers(cfg *config.Config, set *policy.Set) []stranger {
	known := map[string][]string{}
	for _, p := range cfg.Principals {
		known["Group"] = append(known["Group"], p.Groups...)
		if p.Kind == access.Agent {
			known["Agent"] = append(known["Agent"], p.Name)
		} else {
			known["User"] = append(known["User"], p.Name)
		}
	}
	elsewhere := map[string]bool{} // kinds of which a provider may name any
	for _, p := range cfg.Providers {
		elsewhere["User"] = true
		elsewhere["Group"] = elsewhere["Group"] || p.GroupsClaim != "" && p.Groups == nil
		known["Group"] = slices.AppendSeq(known["Group"], maps.Values(p.Groups))
		for _, a := range p.Agents {
			known["Agent"] = append(known["Agent"], p.Prefix+a)
		}
	}
	label := func(l access.Label) {
		for s := string(l); s != ""; s, _ = cutLast(s, ".") {
			known["Label"] = append(known["Label"], s)
		}
	}
	for _, c := range cfg.Connections {
		known["Connection"] = append(known["Connection"], c.Name)
		if c.Judged != nil {
			label(access.Unjudged)
			for _, j := range c.Judged.Columns {
				label(j.Label)
			}
		}
	}
	for _, l := range cfg.Labels {
		label(l.Label)
	}
	const aPolicy = "a policy"
	foreign := func(where, name, remedy, id, kind string) stranger { // a provider may know it, or it is a slip all the same
		remedy += "; a provider may say otherwise"
		if near := config.Nearest(id, known[kind]); near != "" {
			remedy += fmt.Sprintf(", or did you mean %q?", near)
		}
		return stranger{where, name, remedy, ""}
	}
	var out []stranger
	for _, kind := range []struct{ entity, remedy string }{
		{"Group", "no principal is in it"},
		{"User", "no person of that name is configured"},
		{"Agent", "no agent of that name is configured"},
		{"Connection", "no connection of that name is configured"},
		{"Label", "no label rule and no labels file gives it (a catalog comment may)"},
	} {
		for _, id := range set.Mentioned(kind.entity) {
			switch {
			case slices.Contains(known[kind.entity], id):
			case elsewhere[kind.entity]:
				out = append(out, foreign(aPolicy, fmt.Sprintf("%s::%q", kind.entity, id), kind.remedy, id, kind.entity))
			default:
				out = append(out, stranger{aPolicy, fmt.Sprintf("%s::%q", kind.entity, id), kind.remedy, config.Nearest(id, known[kind.entity])})
			}
		}
	}
	for _, entity := range []string{"Schema", "Table", "Column", "Function"} {
		for _, id := range set.Mentioned(entity) {
			// Of what is on a connection only its name is looked at: schemas and tables may be yet to come.
			if connection, _, _ := strings.Cut(id, "."); !strings.HasPrefix(id, `"`) && !slices.Contains(known["Connection"], connection) {
				out = append(out, stranger{aPolicy, fmt.Sprintf("%s::%q", entity, id), "no connection is called " + connection, config.Nearest(connection, known["Connection"])})
			}
		}
	}
	if elsewhere["Group"] { // without one, the configuration warns of them
		for _, n := range deciding(cfg) {
			if !slices.Contains(known["Group"], n.group) && !slices.Contains(set.Mentioned("Group"), n.group) {
				out = append(out, foreign(n.key, fmt.Sprintf("the group `%s`", n.group), "no principal is in it", n.group, "Group"))
			}
		}
	}
	attributes := []string{"name"}
	for _, p := range cfg.Principals {
		attributes = slices.AppendSeq(attributes, maps.Keys(p.Attributes))
	}
	for _, p := range cfg.Providers {
		attributes = slices.AppendSeq(attributes, maps.Keys(p.Attributes))
	}
	for _, a := range set.Asked() {
		if !slices.Contains(attributes, a) {
			out = append(out, stranger{aPolicy, "principal." + a, "no principal has it, so no row meets the condition", config.Nearest(a, attributes)})
		}
	}
	return out
}

// groupNamed is a group that a key of the configuration names.
type groupNamed struct{ key, group string }

// deciding are the groups that the configuration names of people who decide, stand in, break the glass, look on and operate.
func deciding(cfg *config.Config) (out []groupNamed) {
	add := func(key string, groups ...string) {
		for _, g := range groups {
			out = append(out, groupNamed{"`" + key + "`", g})
		}
	}
	a := cfg.File.Approvals
	for _, name := range slices.Sorted(maps.Keys(a.Groups)) {
		add("approvals.groups", name)
		add("approvals.groups."+name+".escalate", a.Groups[name].Escalate...)
	}
	add("approvals.guesses", a.Guesses...)
	add("approvals.break_glass", a.BreakGlass...)
	if w := cfg.File.Listen.Web; w != nil {
		add("listen.web.auditors", w.Auditors...)
		add("listen.web.operators", w.Operators...)
	}
	return out
}

func cutLast(s, sep string) (before string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], true
	}
	return "", false
}

// writable tries whether the record could be kept in dir, without leaving anything behind.
func writable(dir string) error {
	parent := dir
	for {
		st, err := os.Stat(parent)
		if err == nil {
			if !st.IsDir() {
				return fmt.Errorf("%s is not a directory", parent)
			}
			break
		}
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if filepath.Dir(parent) == parent {
			return err
		}
		parent = filepath.Dir(parent)
	}
	f, err := os.CreateTemp(parent, ".sallyport-check-*")
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", parent, plain(err))
	}
	f.Close()
	return os.Remove(f.Name())
}

func count(n int, noun string) string { return plural(n, noun, noun+"s") }

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
