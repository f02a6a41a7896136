package gateway

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgframe"
	"sallyport/internal/pgtree"
)

// Before a statement under @cost runs, the server is asked what its planner expects it to cost: by EXPLAIN of what would
// run, in the same session and transaction, with the parameters that are bound. The settings that costs are made of
// are not free to set where some policy has @cost, so the answer is in the database's own measure.

// costAge is how long an estimate of a statement without parameters stands for its plan.
const costAge = time.Minute

// estimate is what a plan was last expected to cost.
type estimate struct {
	cost float64
	at   time.Time
}

// costing is the part of a plan that is about its cost.
type costing struct {
	explains string // the text to explain, where it is not what runs
	planned  bool   // it is something that the planner plans
	last     atomic.Pointer[estimate]
}

// costs finds out what is to be explained. t is the compiled tree.
func (p *plan) costs(t *pgtree.Tree) error {
	if p.decision.Obligations.Cost == 0 {
		return nil
	}
	switch n := t.Stmt.GetNode().(type) {
	case *pg.Node_SelectStmt, *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt, *pg.Node_DeclareCursorStmt,
		*pg.Node_CreateTableAsStmt, *pg.Node_PrepareStmt:
		p.planned = true
	case *pg.Node_CopyStmt:
		if !p.facts.CopyOut {
			return nil
		}
		var err error
		p.planned = true
		p.explains, err = copiedColumns(n.CopyStmt, p.facts)
		return err
	case *pg.Node_ExplainStmt:
		for _, o := range n.ExplainStmt.GetOptions() {
			p.planned = p.planned || o.GetDefElem().GetDefname() == "analyze"
		}
		if !p.planned {
			return nil
		}
		sql, err := pg.Deparse(&pg.ParseResult{Stmts: []*pg.RawStmt{{Stmt: n.ExplainStmt.GetQuery()}}})
		if err != nil {
			return &access.Error{Kind: access.Unsupported, Code: "0A000", Message: "the cost of this EXPLAIN ANALYZE cannot be told, and the policy limits it", Hint: "use EXPLAIN without ANALYZE", Err: err}
		}
		p.explains = sql
	}
	return nil
}

// costly reports whether a statement of a batch has to be explained before it runs.
func (j *judged) costly() bool {
	if j.plan.decision.Obligations.Cost == 0 || !j.plan.planned {
		return false
	}
	// A cursor was explained when it was declared; PREPARE plans nothing yet.
	return j.plan.facts.Prepares == "" && (j.named == nil || j.named.facts.Fetches == "")
}

// affordable refuses what the server expects to cost more than the policy allows. bind is the client's Bind of st, nil for
// a statement without parameters.
func (s *Session) affordable(j judged, st *prepared, bind []byte, formats int, sql string, sink Sink) error {
	if !j.costly() || s.tx == 'E' {
		return nil // in a failed transaction nothing runs
	}
	pl := j.plan
	if j.source != "" {
		sql = j.source
	}
	text := pl.explains
	var oids []uint32
	switch {
	case st != nil && st.byName:
		return refusal{plan: pl, sql: sql, why: &access.Error{Kind: access.Unsupported, Code: "0A000", Message: "what PREPARE made cannot be bound here, for the policy limits its cost",
			Hint: "run it with EXECUTE, or prepare it by the protocol's Parse"}}
	case text == "" && st != nil:
		text, oids = st.text, st.oids
	case text == "":
		text = j.text()
	}
	// A plan is kept for a text, or for all texts that differ in literals only.
	whole := bind == nil && j.named == nil && (text == pl.sql || text == pl.explains)
	if e := pl.last.Load(); whole && e != nil && time.Since(e.at) < costAge {
		return s.tooCostly(pl, e.cost, sql)
	}
	if err := s.settle(sink); err != nil {
		return err
	}
	if s.skip {
		return &access.Error{Kind: access.Internal, Message: "skipped after an error"} // refuse sees that too, and answers nothing
	}
	cost, err := s.expectedCost(pl, text, oids, bind, formats, sql, sink)
	if err != nil {
		return err
	}
	if whole {
		pl.last.Store(&estimate{cost, time.Now()})
	}
	return s.tooCostly(pl, cost, sql)
}

// tooCostly compares a cost with the limit of its plan.
func (s *Session) tooCostly(pl *plan, cost float64, sql string) error {
	limit := pl.decision.Obligations.Cost
	if cost <= float64(limit) {
		return nil
	}
	// The estimate comes from statistics of raw values: where columns are masked, only its size is told.
	told := strconv.FormatFloat(math.Round(cost), 'f', -1, 64)
	if pl.masked {
		size := math.Pow(10, math.Floor(math.Log10(cost)))
		told = "about " + strconv.FormatFloat(math.Ceil(cost/size)*size, 'f', -1, 64)
	}
	return refusal{plan: pl, sql: sql, why: &access.Error{Kind: access.Denied, Code: "54000",
		Message: fmt.Sprintf("the database expects this to cost %s (in units of its planner), more than the %d that the policy allows", told, limit),
		Hint:    "narrow it down with a condition that an index serves, join fewer tables, or add LIMIT; EXPLAIN shows what is expensive; or ask for a policy with a larger @cost"}}
}

// expectedCost asks the server.
func (s *Session) expectedCost(pl *plan, text string, oids []uint32, bind []byte, formats int, sql string, sink Sink) (float64, error) {
	const name = "sallyport cost"
	// Closing comes first too: a question that failed has left its name behind.
	b, at := pgframe.Begin(nil, 'C')
	b = pgframe.End(pgframe.AppendCString(append(b, 'S'), name), at)
	b = pgframe.AppendParse(b, name, "EXPLAIN (FORMAT JSON) "+text, oids)
	b, at = pgframe.Begin(b, 'B')
	b = pgframe.AppendCString(pgframe.AppendCString(b, name), name)
	if params := boundParams(bind, formats); params != nil {
		b = append(b, params...)
	} else {
		b = append(b, 0, 0, 0, 0)
	}
	b = pgframe.End(append(b, 0, 0), at)
	b, at = pgframe.Begin(b, 'E')
	b = pgframe.End(append(pgframe.AppendCString(b, name), 0, 0, 0, 0), at)
	for _, typ := range []byte{'P', 'S'} {
		b, at = pgframe.Begin(b, 'C')
		b = pgframe.End(pgframe.AppendCString(append(b, typ), name), at)
	}
	var answer string
	err := s.ask(b, 3, pl, sql, func(f pgframe.Frame) {
		if f.Type == 'D' {
			answer = rowText(f.Body())
		}
	})
	if err != nil {
		return 0, err
	}
	var plans []struct {
		Plan struct {
			Cost float64 `json:"Total Cost"`
		}
	}
	// EXPLAIN of what needs no planning gives the utility statement, which has no cost.
	if err := json.Unmarshal([]byte(answer), &plans); err != nil {
		return 0, refusal{plan: pl, sql: sql, why: &access.Error{Kind: access.Upstream, Code: "XX000", Message: "the cost of this statement cannot be told, and the policy limits it", Err: err}}
	}
	cost := 0.0
	for _, p := range plans { // a rule can make several of one statement
		cost += p.Plan.Cost
	}
	return cost, nil
}

// boundParams is the part of a Bind message between its names and its formats of the result, or nil.
func boundParams(bind []byte, formats int) []byte {
	if len(bind) < 5 {
		return nil
	}
	_, b, _ := pgframe.CString(bind[5:])
	_, b, _ = pgframe.CString(b)
	if end := len(b) - 2 - 2*formats; end >= 4 {
		return b[:end]
	}
	return nil
}
