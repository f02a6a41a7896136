package replay

import (
	"slices"
	"strings"

	"sallyport/audit/internal/show"
	"sallyport/audit/internal/trace"
	"sallyport/internal/access"
)

const block = "▒"

// ended draws how a step ended: what was released, or why nothing.
func (d *drawer) ended(st *trace.Step) {
	switch v := st.Verdict(); v {
	case trace.Uncertain:
		text := []string{"how it ended is not recorded"}
		if st.End != nil {
			text = failure(st.End)
		}
		d.verdict(string(v), yellow, text)
		return
	case trace.Erased:
		d.verdict(string(v), dim, []string{gone})
		return
	case trace.Failed:
		d.verdict(string(v), yellow, failure(st.End))
		if st.End.Hint != "" {
			d.field("        ", dim, show.Lines(st.End.Hint)...)
		}
	}
	if st.End.Erased && len(st.End.Columns) > 0 {
		d.field("  ", dim, gone)
	}
	d.rows(st)
	d.field("", plain, trace.Result(st.End, len(st.Releases)))
	if st.End.Detected > 0 {
		d.field("", violet, show.Plural(int64(st.End.Detected), "value")+" without a label hidden in the result")
	}
}

// rows draws the first released rows as the client saw them, with blocks for what masks hid.
func (d *drawer) rows(st *trace.Step) {
	end := st.End
	if len(end.Result) == 0 || d.Results < 0 {
		return
	}
	rows, total, err := show.DecodeRows(end.Result, end.Formats, d.Results)
	if err != nil {
		d.field("  ", dim, "("+err.Error()+")")
	}
	if len(rows) == 0 {
		return
	}
	masks := columnMasks(st, len(rows[0]))
	for _, row := range rows {
		for i := range row {
			var applied []access.MaskApplied
			if i < len(masks) {
				applied = masks[i]
			}
			row[i] = blocked(row[i], applied)
		}
	}
	columns := slices.Clone(end.Columns)
	for i := range columns {
		columns[i] = unblocked(columns[i])
	}
	for _, l := range show.Table(columns, rows, d.Cols-2, cell) {
		d.line("  " + l)
	}
	if more := max(end.Rows, int64(total)) - int64(len(rows)); more > 0 {
		d.field("  ", dim, "… "+show.Plural(more, "more row"))
	}
}

func cell(text string, heading, null bool) string {
	switch {
	case strings.Contains(text, block):
		return paint(violet, text)
	case heading:
		return paint(bold, text)
	case null:
		return paint(dim, text)
	}
	return text
}

// columnMasks says for each of count result columns what masks its values went through. Records of before
// that was kept are read by the names of columns.
func columnMasks(st *trace.Step, count int) [][]access.MaskApplied {
	out := make([][]access.MaskApplied, count)
	for i := range out {
		for n, m := range st.Plan.Masks {
			if len(st.Plan.Outputs) == count {
				if slices.Contains(st.Plan.Outputs[i], n) {
					out[i] = append(out[i], m)
				}
			} else if i < len(st.End.Columns) && strings.HasSuffix(m.Column, "."+st.End.Columns[i]) {
				out[i] = append(out[i], m)
			}
		}
	}
	return out
}

// blocked draws what a mask hid of a value as blocks: stars, and the NULL of masks that leave nothing. What stands
// for the value otherwise (a token, a bucket, what was computed of masked values) has a block in front.
func blocked(c show.Cell, masks []access.MaskApplied) show.Cell {
	c.Text = unblocked(c.Text)
	if len(masks) == 0 {
		return c
	}
	hides := slices.ContainsFunc(masks, func(m access.MaskApplied) bool { return m.Transform == "redact" || m.Transform == "null" })
	switch {
	case c.Null && hides:
		return show.Cell{Text: strings.Repeat(block, 3)}
	case c.Null:
		return c
	case strings.Contains(c.Text, "*"):
		c.Text = strings.ReplaceAll(c.Text, "*", block)
	default:
		c.Text = block + c.Text
	}
	return c
}

// unblocked leaves blocks to the replay: a value may hold one to look masked.
func unblocked(s string) string { return strings.ReplaceAll(s, block, `\u{2592}`) }
