package gateway

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"

	"sallyport/internal/access"
	"sallyport/internal/pgframe"
)

// Query runs one statement and decodes its answer, for doors that do not speak PostgreSQL's protocol. It
// is Do underneath. The statement's own error is an *access.Error; ErrEnded says that the session is gone.
func (s *Session) Query(ctx context.Context, q Query) (*Result, error) {
	s.mu.Lock()
	s.bring(q.Task, q.Reason, q.Traceparent)
	s.wish, s.lastPlan, s.handle, s.claiming, s.lacking = q.MaxBytes, nil, "", q.Approval, nil
	if s.up.MaxRow == 0 { // once: later an idle reader may look at it
		s.up.MaxRow = maxRow
	}
	s.mu.Unlock()
	d := &decoder{res: &Result{}, maxRows: q.MaxRows, maxBytes: q.MaxBytes}
	rows := int32(0)
	if q.MaxRows > 0 {
		rows = int32(q.MaxRows) + 1
	}
	bind := q.bind
	if bind == nil {
		bind = bindText(q.Args)
	}
	ops := []Op{
		{Kind: OpParse, SQL: q.SQL, ParamOIDs: q.types},
		{Kind: OpBind, Raw: bind},
		{Kind: OpDescribe, Target: 'P'},
		{Kind: OpExecute, MaxRows: rows},
		{Kind: OpSync},
	}
	if err := s.Do(ctx, ops, d); err != nil {
		if d.err != nil {
			return nil, d.err
		}
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.err != nil {
		d.err.Scopes = s.lacking
		if s.handle != "" {
			d.err.Kind, d.err.Review = access.ReviewPending, s.handle
		}
		return nil, d.err
	}
	if d.res.Command == "" { // Execute stopped at MaxRows
		d.res.Command = fmt.Sprintf("SELECT %d", len(d.res.Rows))
	}
	s.explainResult(d.res)
	s.remember(d.res)
	return d.res, nil
}

// bring sets what a call says of itself; each brings its own.
func (s *Session) bring(task Task, reason, trace string) {
	s.claims = claims{}
	if s.task != task || s.reason != reason {
		s.task, s.reason, s.scope = task, reason, nil
	}
	s.traceparent = traceparent(trace)
}

// remember keeps for reviewers what a task has been given.
func (s *Session) remember(res *Result) {
	if s.task.ID == "" || s.lastPlan == nil {
		return
	}
	var relations []string
	for _, r := range s.lastPlan.facts.Relations {
		relations = append(relations, r.Name.String())
	}
	s.gw.memory.Saw(s.task.ID, relations, func(f func(string)) {
		for _, row := range res.Rows {
			for _, v := range row {
				if v != nil {
					f(*v)
				}
			}
		}
	})
}

// explainResult adds what the plan that ran knows about a result: which masks each column went through. The
// statement is not judged again: it may have moved the search_path under itself.
func (s *Session) explainResult(res *Result) {
	res.Record = s.lastPos
	pl := s.lastPlan
	if pl == nil {
		return
	}
	res.Decision, res.Detected = pl.decision, s.lastDetected
	res.Truncated = res.Truncated || s.lastLimited
	if pl.scope != nil {
		res.Policies = pl.scope.policies.Version()
	}
	if len(pl.outputs) == len(res.Columns) {
		for i := range res.Columns {
			res.Columns[i].Masks = pl.outputs[i]
		}
	}
}

// bindText is a Bind of the unnamed statement with text parameters.
func bindText(args []string) []byte {
	b, at := pgframe.Begin(nil, 'B')
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(args)))
	for _, a := range args {
		b = binary.BigEndian.AppendUint32(b, uint32(len(a)))
		b = append(b, a...)
	}
	return pgframe.End(append(b, 0, 0), at)
}

// decoder is the Sink of Query. It stops keeping rows at its caps, and says so.
type decoder struct {
	res               *Result
	maxRows, maxBytes int
	bytes             int
	err               *access.Error
}

func (d *decoder) Release(frames []byte) error {
	for len(frames) > 0 {
		f, rest, _, err := pgframe.Next(frames)
		if err != nil {
			return err
		}
		frames = rest
		switch f.Type {
		case 'T':
			d.columns(f.Body())
		case 'D':
			d.row(f.Body())
		case 'C':
			d.res.Command, _, _ = pgframe.CString(f.Body())
		case 's':
			d.res.Truncated = true
		case 'N':
			d.notice(pgframe.Fields(f.Body()))
		case 'E':
			fields := pgframe.Fields(f.Body())
			d.err = &access.Error{Kind: kindOf(field(fields, 'C')), Code: field(fields, 'C'), Message: field(fields, 'M'), Hint: field(fields, 'H')}
			d.err.Position, _ = strconv.Atoi(field(fields, 'P'))
		}
	}
	return nil
}

// notice keeps the first of many: a loop in a function may raise millions. The gateway's own are kept apart:
// a door may trust them.
func (d *decoder) notice(fields []pgframe.Field) {
	text := field(fields, 'M')
	if field(fields, 'R') == ownNotice {
		if field(fields, 'V') == "NOTICE" { // see appendWord
			d.res.Said = append(d.res.Said, text)
		} else {
			d.res.Notes = append(d.res.Notes, text+": "+field(fields, 'H'))
		}
		return
	}
	switch n := len(d.res.Notices); {
	case n < mostNotices:
		d.res.Notices = append(d.res.Notices, shortened(text, mostParam))
	case n == mostNotices:
		d.res.Notices = append(d.res.Notices, "... and more")
	}
}

const mostNotices = 50

func (d *decoder) columns(body []byte) {
	if len(body) < 2 {
		return
	}
	n := int(binary.BigEndian.Uint16(body))
	body = body[2:]
	for range n {
		name, rest, ok := pgframe.CString(body)
		if !ok || len(rest) < 18 {
			return
		}
		oid := binary.BigEndian.Uint32(rest[6:])
		d.res.Columns = append(d.res.Columns, ResultColumn{Name: name, TypeOID: oid, Type: typeName(oid)})
		body = rest[18:]
	}
}

func (d *decoder) row(body []byte) {
	if d.maxRows > 0 && len(d.res.Rows) >= d.maxRows || d.maxBytes > 0 && d.bytes >= d.maxBytes {
		d.res.Truncated = true
		return
	}
	d.bytes += len(body)
	body = body[2:]
	row := make([]*string, 0, len(d.res.Columns))
	for len(body) >= 4 {
		size := int(int32(binary.BigEndian.Uint32(body)))
		body = body[4:]
		if size < 0 {
			row = append(row, nil)
			continue
		}
		if len(body) < size {
			return
		}
		v := string(body[:size])
		row, body = append(row, &v), body[size:]
	}
	d.res.Rows = append(d.res.Rows, row)
}

// kindOf is the kind of an error that came through the wire form, from its SQLSTATE class.
func kindOf(code string) access.Kind {
	switch {
	case code == "42501" || code == "54000" || code == "3D000":
		return access.Denied
	case code == "0A000":
		return access.Unsupported
	case len(code) == 5 && (code[:2] == "08" || code[:2] == "57" || code[:2] == "58" || code[:2] == "53"):
		return access.Unavailable
	case len(code) == 5 && (code[:2] == "42" || code[:2] == "22" || code[:2] == "26" || code[:2] == "34"):
		return access.Invalid
	}
	return access.Upstream
}

// typeNames names the types that answers mostly have (pg_type.dat); others go by their number.
var typeNames = map[uint32]string{16: "boolean", 17: "bytea", 18: "char", 19: "name", 20: "bigint", 21: "smallint", 23: "integer", 25: "text", 26: "oid",
	114: "json", 142: "xml", 700: "real", 701: "double precision", 790: "money", 829: "macaddr", 869: "inet", 650: "cidr", 1000: "boolean[]", 1005: "smallint[]",
	1007: "integer[]", 1009: "text[]", 1015: "character varying[]", 1016: "bigint[]", 1022: "double precision[]", 1042: "character", 1043: "character varying",
	1082: "date", 1083: "time", 1114: "timestamp", 1184: "timestamptz", 1186: "interval", 1231: "numeric[]", 1266: "timetz", 1560: "bit", 1562: "varbit",
	1700: "numeric", 2249: "record", 2278: "void", 2950: "uuid", 2951: "uuid[]", 3802: "jsonb", 3904: "int4range", 3906: "numrange", 3908: "tsrange",
	3910: "tstzrange", 3912: "daterange", 3926: "int8range"}

func typeName(oid uint32) string {
	if n := typeNames[oid]; n != "" {
		return n
	}
	return "type " + strconv.FormatUint(uint64(oid), 10)
}
