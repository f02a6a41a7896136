package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"
	"gopkg.in/yaml.v3"

	"sallyport/audit"
	"sallyport/audit/checkpoint"
	"sallyport/audit/cosignature"
	"sallyport/audit/evidence"
	"sallyport/audit/replay"
	"sallyport/internal/config"
)

type evidenceOptions struct {
	*app
	data, period string
	file, key    string
	scope        evidence.Scope
	policy       *cosignature.Policy // of the configuration; nil where it names no witness
	roots        *x509.CertPool      // as policy
	leaves       bool
	replay       bool
}

func newEvidence(a *app) *cobra.Command {
	o := &evidenceOptions{app: a}
	cmd := &cobra.Command{
		Use:   "evidence",
		Short: "Make one zip of what a session, task, principal or period did, for third parties",
		Long: `Evidence writes a zip file that somebody who does not trust us can check offline: the trace as data and as a page,
the policies and labels in force, proofs from the log's Merkle tree, and a signature over all of it. VERIFY.md in it
says how. It only reads, so it works beside a running gateway. It signs with the log's key unless --key names another.`,
		Example: `  sallyport evidence --session s_8c1e --out evidence.zip
  sallyport evidence --task task_5f2c --out evidence.zip
  sallyport evidence --principal support-agent --period 2027-01-01..2027-02-01 --out january.zip`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), time.Now()) },
	}
	f := cmd.Flags()
	f.StringVar(&o.data, "data", "", "data directory (default: the configuration's)")
	f.StringVar(&o.scope.Session, "session", "", "this session; the beginning of its id will do")
	f.StringVar(&o.scope.Task, "task", "", "this task; the beginning of its id will do")
	f.StringVar(&o.scope.Principal, "principal", "", "this principal")
	f.StringVar(&o.period, "period", "", "FROM..TO, of which one may be empty; a span (2d) or a time (2027-01-31) each")
	f.StringVar(&o.file, "out", "", "the zip file to write (required); it must not exist")
	f.StringVar(&o.key, "key", "", "file with the private key to sign with, as C2SP signed-note has it (default: the log's)")
	f.BoolVar(&o.leaves, "leaves", false, "with the records as the tree has them, sealed")
	f.BoolVar(&o.replay, "replay", false, "with a replay, which shows released rows as the client saw them")
	return cmd
}

func (o *evidenceOptions) run(ctx context.Context, now time.Time) error {
	given := 0
	for _, s := range []string{o.scope.Session, o.scope.Task, o.scope.Principal} {
		if s != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return usagef("--session, --task and --principal exclude each other")
	case given == 0 && o.period == "":
		return usagef("say what about: --session, --task, --principal or --period")
	case o.file == "":
		return usagef("--out FILE.zip is missing")
	}
	var err error
	if o.scope.From, o.scope.To, err = period(o.period, now); err != nil {
		return err
	}
	in, done, err := o.input(ctx)
	if err != nil {
		return err
	}
	defer done()
	d, err := writeNew(o.file, in)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.app.out, "%s: %s of %s, %d of %d records proven, signed by %s\n", o.file,
		plural(d.Summary.Steps, "step", "steps"), plural(d.Summary.Sessions, "session", "sessions"), d.Log.Proven, d.Log.Records, in.Public)
	return nil
}

// input gathers what a bundle is made of. done lets go of it.
func (o *evidenceOptions) input(ctx context.Context) (in *evidence.Input, done func(), err error) {
	in = &evidence.Input{Generator: "sallyport " + programVersion(), Leaves: o.leaves}
	dir, err := o.texts(in)
	if err != nil {
		return nil, nil, err
	}
	picked := audit.Filter{Session: o.scope.Session, Task: o.scope.Task}
	if err := o.unwrap(dir); err != nil {
		return nil, nil, err
	}
	if err := complete(ctx, dir, &picked); err != nil {
		return nil, nil, err
	}
	o.scope.Session, o.scope.Task = picked.Session, picked.Task
	in.Scope = o.scope
	if in.Signer, in.Public, err = signer(dir, o.key); err != nil {
		return nil, nil, err
	}
	prover, err := audit.OpenProver(dir)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			prover.Close()
		}
	}()
	in.Prover = prover
	filter := audit.Filter{Session: o.scope.Session, Task: o.scope.Task, Principal: o.scope.Principal, Since: o.scope.From, Until: o.scope.To}
	if in.Records, err = evidence.Collect(bySessions(ctx, dir, filter), o.scope); err != nil {
		return nil, nil, err
	}
	if err := vouchedFor(in, dir, prover, o.policy, o.roots); err != nil {
		return nil, nil, err
	}
	if o.replay {
		recs, err := audit.Collect(among(ctx, dir, filter), filter)
		if err != nil {
			return nil, nil, err
		}
		var b bytes.Buffer
		if err := replay.Write(&b, replay.Make(recs, replay.Options{})); err != nil {
			return nil, nil, err
		}
		in.Extra = append(in.Extra, evidence.File{Name: "replay" + replay.Extension, Data: b.Bytes()})
	}
	return in, func() { prover.Close() }, nil
}

// texts puts what is in force into in and gives the folder of the log. With --data alone there is no configuration.
func (o *evidenceOptions) texts(in *evidence.Input) (string, error) {
	cfg, err := config.Load(o.config)
	if err != nil {
		if o.data == "" {
			return "", fmt.Errorf("%w\n  hint: --data DIR reads a record without a configuration; its texts are then not in the bundle", err)
		}
		fmt.Fprintf(o.err, "no texts of policies and labels in the bundle: %v\n", beside(err, o.data))
		return logDir(o.data)
	}
	if o.data == "" {
		o.data = cfg.DataDir
		if o.policy, o.roots, err = o.outside(""); err != nil {
			return "", err
		}
	}
	set, err := loadPolicies(cfg)
	if err != nil {
		return "", err
	}
	in.Policy = evidence.Texts{Version: set.Version(), Purposes: set.Purposes()}
	for _, p := range cfg.Policies {
		in.Policy.Files = append(in.Policy.Files, evidence.File{Name: p.Name, Data: []byte(p.Text)})
	}
	in.Purposes = cfg.Purposes
	rules, err := yaml.Marshal(struct {
		Labels   []config.LabelRule     `yaml:"labels"`
		Masks    map[string]config.Mask `yaml:"masks"`
		Purposes []config.Purpose       `yaml:"purposes,omitempty"`
	}{cfg.File.Labels, cfg.File.Masks, cfg.File.Purposes})
	if err != nil {
		return "", err
	}
	in.Labels = []evidence.File{{Name: "configuration.yaml", Data: rules}}
	for _, c := range cfg.Connections {
		if path, named := cfg.LabelsPath(c.Name); named {
			text, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			in.Labels = append(in.Labels, evidence.File{Name: filepath.Base(path), Data: text})
		}
	}
	return logDir(o.data)
}

// beside gives err, where it says that there is no configuration, a hint how to name one: that beside the data directory where there is.
func beside(err error, data string) error {
	if !errors.Is(err, config.ErrNone) {
		return err
	}
	file := filepath.Join(filepath.Dir(filepath.Clean(data)), config.DefaultName)
	if _, missing := os.Stat(file); missing != nil {
		return fmt.Errorf("%w\n  hint: -c FILE names the one of the gateway whose record this is", err)
	}
	return fmt.Errorf("%w\n  hint: -c %s may be the one of the gateway whose record this is", err, printable(file))
}

// logDir is the folder of the log in a data directory.
func logDir(data string) (string, error) {
	dir := filepath.Join(data, "log")
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("no record in %s: %w", data, plain(err))
	}
	return dir, nil
}

// signer is the key in a file, or the log's own.
func signer(dir, file string) (note.Signer, string, error) {
	if file == "" {
		keys, err := checkpoint.LoadVerifiers(filepath.Join(dir, "signing"))
		if err != nil {
			return nil, "", err
		}
		s, err := checkpoint.LoadSigner(filepath.Join(dir, "signing"))
		return s, keys.Current().Public, err
	}
	private, err := checkpoint.ReadPrivate(file)
	if err != nil {
		return nil, "", err
	}
	s, err := note.NewSigner(private)
	if err != nil {
		return nil, "", fmt.Errorf("%s is not a private key in the form of C2SP signed-note", file)
	}
	public, err := checkpoint.Public(private)
	return s, public, err
}

// period reads FROM..TO.
func period(s string, now time.Time) (from, to time.Time, err error) {
	if s == "" {
		return from, to, nil
	}
	a, b, ok := strings.Cut(s, "..")
	if !ok || a == "" && b == "" {
		return from, to, usagef("--period is FROM..TO, not %q", s)
	}
	if from, err = moment("--period", a, now); err != nil {
		return from, to, err
	}
	if to, err = moment("--period", b, now); err != nil {
		return from, to, err
	}
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return from, to, usagef("--period %s ends before it begins", s)
	}
	return from, to, nil
}

// writeNew writes a bundle into a file that was not there; of one that fails nothing stays.
func writeNew(path string, in *evidence.Input) (*evidence.Document, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s is there already: evidence is not overwritten", path)
	}
	if err != nil {
		return nil, err
	}
	d, err := evidence.Write(f, in)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		os.Remove(path)
		return nil, err
	}
	return d, nil
}
