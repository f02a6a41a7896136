package gateway

import (
	"testing"

	"sallyport/internal/pgframe"
)

func TestCopyLeavesTokensAlone(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	plain, copied := w.query(s, "select id, email from customers where id < 90 order by id"), w.query(s, "copy (select id, email from customers where id < 90 order by id) to stdout")
	for i, row := range plain.rows {
		if got, want := copied.rows[i][0], row[0]+"\t"+row[1]; got != want {
			t.Errorf("COPY gave %q, SELECT %q", got, want)
		}
	}
}

func TestCopyDataMayComeBeforeItIsAskedFor(t *testing.T) {
	w := newWorld(t)
	s := w.login("writer")
	defer s.Close()
	data := pgframe.End(append([]byte{'d', 0, 0, 0, 0}, "9001\t1\t1\n"...), 0)
	tail := []Op{{Kind: OpCopyData, Raw: data}, {Kind: OpCopyDone}}
	if a := w.do(s, append([]Op{{Kind: OpQuery, SQL: "copy orders from stdin"}}, tail...)...); len(a.tags) != 1 || a.tags[0] != "COPY 1" {
		t.Errorf("simple: tags %v errors %v", a.tags, a.errs)
	}
	wantNoError(t, w.query(s, "delete from orders where id = 9001"))
	ops := []Op{{Kind: OpParse, SQL: "copy orders from stdin"}, {Kind: OpBind, Raw: bindText(nil)}, {Kind: OpExecute}}
	if a := w.do(s, append(append(ops, tail...), Op{Kind: OpSync})...); len(a.tags) != 1 || a.tags[0] != "COPY 1" || a.tx != 'I' {
		t.Errorf("extended: tags %v errors %v", a.tags, a.errs)
	}
}
