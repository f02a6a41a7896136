package show

import (
	"encoding/hex"
	"strconv"
	"strings"
)

const cellMost = 40 // cells of a column at most

// Cell is one value as it is shown.
type Cell struct {
	Text string
	Null bool
}

// DecodeRows gives the values of recorded rows as they are shown: at most limit rows; total counts all. Binary
// values are shown in hexadecimal.
func DecodeRows(frames []byte, formats []int16, limit int) (rows [][]Cell, total int, err error) {
	total, err = EachRow(frames, formats, func(values []Value) {
		if len(rows) == limit {
			return
		}
		row := make([]Cell, len(values))
		for i, v := range values {
			switch {
			case v.Null:
				row[i] = Cell{"NULL", true}
			case v.Binary:
				row[i] = Cell{Text: `\x` + hex.EncodeToString(v.Data)}
			default:
				row[i] = Cell{Text: Clean(string(v.Data))}
			}
		}
		rows = append(rows, row)
	})
	return rows, total, err
}

func binaryFormat(formats []int16, column int) bool {
	switch {
	case len(formats) == 1:
		return formats[0] != 0
	case column < len(formats):
		return formats[column] != 0
	}
	return false
}

// Table lays rows out under columns, at most most cells wide. Numbers stand right. paint is given each
// cell, padded, and whether it is a heading or a NULL.
func Table(columns []string, rows [][]Cell, most int, paint func(text string, heading, null bool) string) []string {
	count := len(columns)
	for _, row := range rows {
		count = max(count, len(row))
	}
	widths, right := make([]int, count), make([]bool, count)
	head := make([]string, count)
	for i := range count {
		head[i] = "column " + strconv.Itoa(i+1)
		if i < len(columns) {
			head[i] = Clean(columns[i])
		}
		head[i] = Clip(head[i], cellMost)
		widths[i] = max(1, Width(head[i]))
		right[i] = numeric(rows, i)
		for _, row := range rows {
			if i < len(row) {
				widths[i] = min(cellMost, max(widths[i], Width(row[i].Text)))
			}
		}
	}
	shown := fit(widths, most)
	dropped := count - shown

	line := func(get func(i int) (string, bool, bool), heading bool) string {
		var b strings.Builder
		for i := range shown {
			text, null, flush := get(i)
			text = Clip(text, widths[i])
			gap := strings.Repeat(" ", widths[i]-Width(text))
			if i > 0 {
				b.WriteString(" │ ")
			}
			switch {
			case flush:
				b.WriteString(gap + paint(text, heading, null))
			case i == shown-1 && dropped == 0:
				b.WriteString(paint(text, heading, null))
			default:
				b.WriteString(paint(text, heading, null) + gap)
			}
		}
		if dropped > 0 {
			b.WriteString(" …")
		}
		return b.String()
	}
	out := []string{line(func(i int) (string, bool, bool) { return head[i], false, right[i] }, true)}
	rule := make([]string, shown)
	for i := range rule {
		rule[i] = strings.Repeat("─", widths[i])
	}
	out = append(out, strings.Join(rule, "─┼─"))
	for _, row := range rows {
		out = append(out, line(func(i int) (string, bool, bool) {
			if i >= len(row) {
				return "", false, false
			}
			return row[i].Text, row[i].Null, right[i]
		}, false))
	}
	if dropped > 0 {
		out = append(out, "… "+Plural(int64(dropped), "more column"))
	}
	return out
}

// fit makes the widest columns narrower until all fit into most cells, and gives how many columns fit
// when that is not enough.
func fit(widths []int, most int) (shown int) {
	const narrow = 12
	total := -3
	for _, w := range widths {
		total += w + 3
	}
	for total > most {
		widest := 0
		for i, w := range widths {
			if w > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= narrow {
			break
		}
		widths[widest]--
		total--
	}
	if total <= most {
		return len(widths)
	}
	used := -3
	for shown < len(widths) {
		if used += widths[shown] + 3; used > most-2 && shown > 0 {
			break
		}
		shown++
	}
	return shown
}

// numeric is true when a column has values and all of them look like numbers.
func numeric(rows [][]Cell, column int) bool {
	any := false
	for _, row := range rows {
		if column >= len(row) || row[column].Null {
			continue
		}
		any = true
		digits := false
		for _, c := range []byte(row[column].Text) {
			if c >= '0' && c <= '9' {
				digits = true
			} else if c != '-' && c != '.' && c != 'e' && c != '+' {
				return false
			}
		}
		if !digits || strings.Count(row[column].Text, "-") > 1 || strings.Count(row[column].Text, ".") > 1 {
			return false
		}
	}
	return any
}
