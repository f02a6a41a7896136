// Package erasure has several people's data pass both doors, erases one of them, and looks for what is left: in the bytes
// of the data directory, in whatever can still be read of the record, and in replays and bundles made afterwards. What
// is about the others must still be readable, and every proof made before must hold.
//
// It trusts nothing that `erase` says. A canary is a word that is nowhere else; what is searched is searched before the
// erasure too, where all canaries must be found. Start with Main; search.go has the forms in which a canary is looked
// for, people.go what is asked about them.
package erasure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/audit"
	"sallyport/evals/harness"
	"sallyport/evals/results"
	"sallyport/internal/testdb"
)

const (
	made       = "go run ./evals/cmd/erasure"
	connection = "shop"
	clerk      = "clerk"
	secret     = "erasure-secret"
	agentName  = "bot"
	token      = "erasure-token-0123456789abcdef0123456789abcdef"
)

const policy = `
@id("staff")
permit (principal, action in [Action::"connect", Action::"read", Action::"write"], resource);
`

// drill is one gateway with its people.
type drill struct {
	g                   *harness.Gateway
	sallyport, verifier string
	dir                 string // for what is made from the record
	people              []*subject
	sessions            []string
	bytes               int64 // searched after the erasure
}

// Main runs the drill and records its figures, unless dry is set.
func Main(ctx context.Context, dry bool) error {
	server, err := testdb.Start(testdb.Options{})
	if err != nil {
		return err
	}
	defer server.Stop()
	d, err := begin(ctx, server)
	if err != nil {
		return err
	}
	defer d.g.Stop()
	defer os.RemoveAll(d.dir)
	if err := d.ask(ctx); err != nil {
		return err
	}
	d.g.End()
	if d.sessions, err = sessionsOf(d.log()); err != nil {
		return err
	}
	before, err := d.texts(ctx, "before")
	if err != nil {
		return err
	}
	if err := d.allReadable(before); err != nil {
		return err
	}
	gone := d.people[2]
	if out, err := d.erase(ctx, gone); err != nil {
		return err
	} else {
		fmt.Print(out)
	}
	// The gateway goes on with the record, and signs it.
	if err := d.g.Launch(nil); err != nil {
		return err
	}
	if err := d.g.Ready(ctx); err != nil {
		return err
	}
	d.g.End()
	after, err := d.texts(ctx, "after")
	if err != nil {
		return err
	}
	left, lost := d.compare(gone, after)
	checked, failed, err := d.prove(ctx)
	if err != nil {
		return err
	}
	return d.record(left, lost, checked, failed, dry)
}

func (d *drill) log() string { return filepath.Join(d.g.Data(), "log") }

// erase has one person erased, by the identifiers that are known of them.
func (d *drill) erase(ctx context.Context, s *subject) (string, error) {
	return d.run(ctx, d.sallyport, "erase", "-c", d.g.Config(), "--person", s.number, "--by", "dpo", "--why", "request of a person")
}

func (d *drill) run(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = d.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// texts is everything that can be read: the files of the data directory as they are, and what the programs make of the
// record: its records, the trace for people, a replay and a bundle of each session. They are by name.
func (d *drill) texts(ctx context.Context, when string) (map[string][]byte, error) {
	out := map[string][]byte{}
	if err := readFiles(d.g.Data(), "data/", out); err != nil {
		return nil, err
	}
	dir := filepath.Join(d.dir, when)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	for name, args := range map[string][]string{"records": {"trace", "--json"}, "trace": {"trace", "--color", "never"}} {
		text, err := d.run(ctx, d.sallyport, append(args, "-c", d.g.Config())...)
		if err != nil {
			return nil, err
		}
		out[name] = []byte(text)
	}
	for _, id := range d.sessions {
		if _, err := d.run(ctx, d.sallyport, "replay", id, "-c", d.g.Config(), "--out", filepath.Join(dir, id+".cast")); err != nil {
			return nil, err
		}
		if _, err := d.run(ctx, d.sallyport, "evidence", "-c", d.g.Config(), "--session", id, "--leaves", "--replay", "--out", filepath.Join(dir, id+".zip")); err != nil {
			return nil, err
		}
	}
	return out, readFiles(dir, "made/", out)
}

// allReadable wants every canary found before the erasure: a search that finds nothing proves nothing.
func (d *drill) allReadable(texts map[string][]byte) error {
	for _, s := range d.people {
		for _, c := range s.canaries() {
			if !slices.ContainsFunc(searchAll(texts, c), func(f found) bool { return f.text == "records" }) {
				return fmt.Errorf("%s of %s is not in the record before anybody is erased: the drill would prove nothing", c, s.number)
			}
		}
	}
	return nil
}

// compare looks for what is left of one person, and for what is missing of the others.
func (d *drill) compare(gone *subject, texts map[string][]byte) (left, lost []string) {
	for _, t := range texts {
		d.bytes += int64(len(t))
	}
	for _, s := range d.people {
		for _, c := range s.canaries() {
			hits := searchAll(texts, c)
			switch {
			case s == gone:
				for _, f := range hits {
					left = append(left, fmt.Sprintf("%s in %s, %s", c, f.text, f.form))
				}
			case !slices.ContainsFunc(hits, func(f found) bool { return f.text == "records" }):
				lost = append(lost, fmt.Sprintf("%s of %s", c, s.number))
			}
		}
	}
	return left, lost
}

// prove has both verifiers look at the log, and at the bundles from before and after.
func (d *drill) prove(ctx context.Context) (checked int, failed []string, err error) {
	key := filepath.Join(d.log(), "signing", "checkpoint.pub")
	look := func(name, program string, args ...string) {
		checked++
		out, e := d.run(ctx, program, args...)
		if e != nil || !strings.Contains(out, "The evidence is good.") {
			failed = append(failed, fmt.Sprintf("%s: %s %v", name, out, e))
		}
	}
	look("data directory", d.sallyport, "verify", d.g.Data(), "--key", key)
	look("data directory", d.verifier, "-key", key, d.g.Data())
	zips, err := filepath.Glob(filepath.Join(d.dir, "*", "*.zip"))
	if err != nil {
		return 0, nil, err
	}
	if want := 2 * len(d.sessions); len(zips) != want {
		return 0, nil, fmt.Errorf("%d bundles, want %d", len(zips), want)
	}
	for _, z := range zips {
		rel, _ := filepath.Rel(d.dir, z)
		look(rel, d.verifier, "-key", key, z)
	}
	checked++
	report, err := audit.Check(d.log())
	if err == nil && !report.Sound() {
		failed = append(failed, fmt.Sprintf("the log's own check: %v", report.Problems))
	}
	return checked, failed, err
}

func (d *drill) record(left, lost []string, checked int, failed []string, dry bool) error {
	for title, list := range map[string][]string{"left": left, "lost": lost, "proof failed": failed} {
		for _, text := range list {
			fmt.Printf("FOUND %s: %s\n", title, text)
		}
	}
	n := len(d.people[0].canaries())
	figures := []results.Figure{
		results.Count("erasure.canaries_left", len(left), n),
		results.Count("erasure.others_lost", len(lost), n*(len(d.people)-1)),
		results.Count("erasure.proofs_failed", len(failed), checked),
		results.Count("erasure.searched_bytes", int(d.bytes), int(d.bytes)),
	}
	figures[0].Note = "canaries of one person erased by an identifier, in " + strings.Join(formNames(), ", ") + ", in files as they are and members of archives; in the data directory, the records that can be read, traces, replays and bundles made afterwards"
	figures[1].Note = "canaries of other people, in records of the same sessions, that cannot be read any more"
	figures[2].Note = "of the log, by both verifiers and its own check, and of bundles of all sessions from before and after"
	for i := range figures {
		figures[i].Command = made
	}
	if dry {
		for _, f := range figures {
			fmt.Println(f)
		}
		if len(left)+len(lost)+len(failed) > 0 {
			return errors.New("something was found")
		}
		return nil
	}
	return results.Check(figures...)
}
