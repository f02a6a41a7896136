package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"sallyport/audit"
	"sallyport/audit/index"
	"sallyport/internal/access"
)

const searchMost = 10_000 // records of a page

type searchOptions struct {
	*app
	data         string
	since, until string
	fields       map[index.Field]*[]string
	query        index.Query
	json         bool
	rebuild      bool
	check        bool
}

func newSearch(a *app) *cobra.Command {
	o := &searchOptions{app: a, fields: map[index.Field]*[]string{}}
	cmd := &cobra.Command{
		Use:   "search [WORDS...]",
		Short: "Find records by what they say, the newest first",
		Long: `Search finds records that have all the words, in the statement (as it was recorded, masked), the reason, the goal,
the ticket or a reviewer's justification, and that all flags apply to. A word is whole, whatever its case; several in quotes have to stand together.
A flag that is given twice has to apply twice: --label pii.email --label pii.phone.

It uses an index beside the record, which it first brings up to date, also while a gateway runs. The index holds keyed
hashes only, and every record that is shown was read from the record itself. The next page is --after the position of
the last one shown: what is recorded meanwhile does not change the pages that follow.`,
		Example: `  sallyport search refund customers --since 7d
  sallyport search "support ticket" --principal support-agent --decision deny
  sallyport search --column customers.email --until 2027-02-01 --limit 20 --json
  sallyport search --person jane@example.com`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args, time.Now()) },
	}
	f := cmd.Flags()
	f.StringVar(&o.data, "data", "", "data directory (default: the configuration's)")
	for _, flag := range []struct {
		field       index.Field
		name, usage string
	}{
		{index.Principal, "principal", "who is accountable"},
		{index.Actor, "actor", "the agent that acted for them"},
		{index.Issuer, "issuer", "the provider that proved them, by its URL: log-ins, refused ones and tasks"},
		{index.Task, "task", "a task, by its whole id"},
		{index.Session, "session", "a session, by its whole id"},
		{index.Connection, "connection", "a connection"},
		{index.Relation, "relation", "a relation that the statement touches: schema.table, or table"},
		{index.Column, "column", "a column with a label that it uses: schema.table.column, table.column or column"},
		{index.Label, "label", "a label of such a column"},
		{index.Decision, "decision", "allow, deny or review"},
		{index.Fingerprint, "fingerprint", "the statement's fingerprint"},
		{index.Kind, "kind", "the record's kind: " + kindNames()},
		{index.Approval, "approval", "a request for approval, by its whole id"},
		{index.Door, "door", "pgwire or mcp"},
	} {
		o.fields[flag.field] = f.StringArray(flag.name, nil, flag.usage)
	}
	f.StringArrayVar(&o.query.Person, "person", nil, "an identifier of somebody, as a whole word anywhere: statements, parameters, reasons, errors, released rows")
	f.StringVar(&o.since, "since", "", "not before: a span (1h, 2d) or a time (2027-01-31T08:00:00Z)")
	f.StringVar(&o.until, "until", "", "before: a span or a time")
	f.IntVar(&o.query.Limit, "limit", 50, "records of a page")
	f.Uint64Var(&o.query.Before, "after", 0, "the page after the record at this position")
	f.BoolVar(&o.json, "json", false, "one JSON record a line")
	f.BoolVar(&o.rebuild, "rebuild", false, "make the index anew from the record first")
	f.BoolVar(&o.check, "check", false, "compare the checksums of the whole index instead")
	return cmd
}

func (o *searchOptions) run(ctx context.Context, args []string, now time.Time) error {
	if o.query.Limit < 1 || o.query.Limit > searchMost {
		return usagef("--limit is 1 to %d", searchMost)
	}
	for _, text := range append(args, o.query.Person...) {
		if !index.HasWord(text) {
			return usagef("%q has no letter and no digit to search for", text)
		}
	}
	for _, d := range *o.fields[index.Decision] {
		if d != "allow" && d != "deny" && d != "review" {
			return usagef("--decision is allow, deny or review, not %q", d)
		}
	}
	for _, k := range *o.fields[index.Kind] {
		if !slices.Contains(index.Kinds(), access.RecordKind(k)) {
			return usagef("--kind is one of %s, not %q", kindNames(), k)
		}
	}
	o.query.Words = args
	for field, values := range o.fields {
		for _, v := range *values {
			o.query.Fields = append(o.query.Fields, index.Value{Field: field, Value: v})
		}
	}
	var err error
	if o.query.Since, err = moment("--since", o.since, now); err != nil {
		return err
	}
	if o.query.Until, err = moment("--until", o.until, now); err != nil {
		return err
	}
	dir, err := o.recordDir(o.data)
	if err != nil {
		return err
	}
	x := index.New(dir, indexDir(filepath.Dir(dir)), nil)
	if o.check {
		return o.verify(ctx, x)
	}
	page, err := o.find(ctx, x, dir)
	if err != nil {
		return err
	}
	if o.json {
		err = audit.JSON(o.out, page.Records)
	} else {
		_, width, _ := terminal(o.out, "auto")
		err = index.List(o.out, page.Records, index.ListOptions{Location: time.Local, Width: width})
	}
	if err != nil {
		return err
	}
	o.foot(page)
	return nil
}

func kindNames() string {
	var names []string
	for _, k := range index.Kinds() {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

func indexDir(data string) string { return filepath.Join(data, "index") }

// find searches an index that is up to date, or says that it is not.
func (o *searchOptions) find(ctx context.Context, x *index.Index, dir string) (*index.Page, error) {
	progress := o.progress()
	if o.rebuild {
		r, err := x.Rebuild(ctx, progress)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(o.err, "index: made anew, of %s\n", plural(int(r.Through), "record", "records"))
	}
	page, r, err := x.Find(ctx, o.query, progress)
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS), errors.Is(err, index.ErrBusy):
		cause := err
		if page, err = x.Search(ctx, o.query); err != nil {
			return nil, err
		}
		next, err := audit.Next(dir)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(o.err, "index: not brought up to date (%v): it knows the first %d of %d records\n", plain(cause), page.Through, next-1)
		return page, nil
	case err != nil:
		return nil, err
	}
	if r.Anew != "" && !o.rebuild {
		fmt.Fprintf(o.err, "index: made anew from the record: %s\n", strings.ReplaceAll(r.Anew, "\n", ": "))
	}
	if r.Purged {
		fmt.Fprintln(o.err, "index: records that were erased have left it")
	}
	return page, nil
}

// progress tells somebody who waits how far it is.
func (o *searchOptions) progress() func(uint64) {
	last := time.Now()
	return func(pos uint64) {
		if time.Since(last) > 2*time.Second {
			last = time.Now()
			fmt.Fprintf(o.err, "index: up to record %d\n", pos)
		}
	}
}

// foot says what the page is part of.
func (o *searchOptions) foot(page *index.Page) {
	what := plural(len(page.Records), "record", "records")
	if len(page.Records) == 0 && !page.Stopped {
		what = "nothing recorded that matches"
		if len(*o.fields[index.Session])+len(*o.fields[index.Task]) > 0 {
			what += "; sessions and tasks are searched for by their whole ids"
		}
	}
	fmt.Fprintf(o.err, "%s; searched up to record %d\n", what, page.Through)
	switch {
	case page.Stopped:
		fmt.Fprintf(o.err, "too many records had to be read that do not match; go on with --after %d\n", page.Next)
	case page.Next != 0:
		fmt.Fprintf(o.err, "more: --after %d\n", page.Next)
	}
}

func (o *searchOptions) verify(ctx context.Context, x *index.Index) error {
	err := x.Check(ctx)
	if errors.Is(err, index.ErrNone) {
		fmt.Fprintf(o.out, "%s; a search, or --rebuild, makes it anew\n", strings.ReplaceAll(err.Error(), "\n", ": "))
		return errReported
	}
	if err == nil {
		fmt.Fprintln(o.out, "sound")
	}
	return err
}
