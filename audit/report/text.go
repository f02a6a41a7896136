package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"sallyport/audit/internal/show"
)

// Report is one of the reports.
type Report interface{ print(p *printer) }

// JSON writes a report for programs. Characters that could attack a terminal are JSON escapes.
func JSON(w io.Writer, r Report) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return err
	}
	_, err := w.Write(show.CleanJSON(nil, b.Bytes()))
	return err
}

// Text writes a report for people. What comes from records is made harmless.
func Text(w io.Writer, r Report) error {
	p := &printer{}
	r.print(p)
	out := bufio.NewWriter(w)
	for _, b := range p.blocks {
		b.text(out)
	}
	return out.Flush()
}

// printer takes what a report says, for a terminal or a page.
type printer struct{ blocks []block }

// block is a heading, a line, a table or a list.
type block struct {
	Heading string
	Line    string
	Columns []string
	Rows    [][]string // cells may hold anything
	Items   []string
}

const mostCell = 100 // cells of a column

func (b *block) text(out *bufio.Writer) {
	switch {
	case b.Columns != nil:
		fmt.Fprintf(out, "\n%s\n", b.Heading)
		if len(b.Rows) == 0 {
			fmt.Fprintln(out, "  none")
			return
		}
		t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "  "+strings.Join(b.Columns, "\t"))
		for _, row := range b.Rows {
			cells := make([]string, len(row))
			for i, c := range row {
				cells[i] = show.Clip(show.Clean(c), mostCell)
			}
			fmt.Fprintln(t, "  "+strings.Join(cells, "\t"))
		}
		t.Flush() // into out, which keeps a failure
	case b.Items != nil:
		fmt.Fprintf(out, "\n%s\n", b.Heading)
		for _, l := range b.Items {
			fmt.Fprintf(out, "  - %s\n", l)
		}
	case b.Heading != "":
		fmt.Fprintf(out, "\n%s\n", b.Heading)
	default:
		fmt.Fprintln(out, b.Line)
	}
}

// table prints rows under columns. Cells may hold anything.
func (p *printer) table(title string, columns []string, rows [][]string) {
	p.blocks = append(p.blocks, block{Heading: title, Columns: columns, Rows: rows})
}

// line prints text that is clean.
func (p *printer) line(format string, args ...any) {
	p.blocks = append(p.blocks, block{Line: fmt.Sprintf(format, args...)})
}

// heading prints text that is clean above what follows.
func (p *printer) heading(format string, args ...any) {
	p.blocks = append(p.blocks, block{Heading: fmt.Sprintf(format, args...)})
}

// items prints texts that are clean.
func (p *printer) items(title string, list []string) {
	p.blocks = append(p.blocks, block{Heading: title, Items: append([]string{}, list...)})
}

// limits says what a report cannot tell, and what it is made from.
func (p *printer) limits(list []string, basis *Basis) {
	p.items("What this does not tell", list)
	p.items("What it is made from", []string{basis.words()})
}

func stamp(t time.Time) string { return t.Format("2006-01-02 15:04:05Z") }

func list(items []string) string { return strings.Join(items, ", ") }

func number[T int | int64](n T) string { return strconv.FormatInt(int64(n), 10) }

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
