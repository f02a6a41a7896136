package postgres

import (
	"slices"

	"sallyport/internal/access"
)

// touched marks a column that is named although nothing is known to be done with it.
const touched access.Use = 1 << 7

// deciding are the uses by which a column decides which rows there are, or their order.
const deciding = access.UsePredicate | access.UseOrder | access.UseGroup

// value is what the value of an expression can depend on.
type value struct {
	src   []int32 // ids in the column table, sorted
	plain bool    // exactly one column, passed through unchanged
	// row has the columns of a whole row, nil for a scalar or a row of unknown shape.
	row []column
	typ exprType
}

// columnTable numbers the catalog columns that a statement touches, so that sets of them are small.
// A virtual id stands for a column of a recursive query while its sources are still being found.
type columnTable struct {
	ids  []access.ColumnID // Relation is zero for a virtual id
	uses []access.Use
	deps map[int32][]int32 // virtual ids
	self []int32           // self[i] == i; sets of one are slices of it
}

// block numbers all columns of rel, in order.
func (t *columnTable) block(rel *access.Relation) int32 {
	base := int32(len(t.ids))
	for i := range rel.Columns {
		t.add(access.ColumnID{Relation: rel.Name, Column: rel.Columns[i].Name})
	}
	return base
}

func (t *columnTable) add(c access.ColumnID) int32 {
	id := int32(len(t.ids))
	t.ids = append(t.ids, c)
	t.uses = append(t.uses, 0)
	t.self = append(t.self, id)
	return id
}

// virtual makes an id whose sources are given later, by feed.
func (t *columnTable) virtual() int32 {
	id := t.add(access.ColumnID{})
	if t.deps == nil {
		t.deps = map[int32][]int32{}
	}
	t.deps[id] = nil
	return id
}

func (t *columnTable) feed(id int32, src []int32) { t.deps[id] = union(t.deps[id], src) }

// one is the set of id alone. It must not be written to.
func (t *columnTable) one(id int32) []int32 { return t.self[id : id+1 : id+1] }

// mark adds use to every column of src.
func (t *columnTable) mark(src []int32, use access.Use) {
	for _, id := range src {
		t.uses[id] |= use | touched
	}
}

// settle passes the uses of virtual columns on to what they stand for, until nothing changes.
func (t *columnTable) settle() {
	for changed := len(t.deps) > 0; changed; {
		changed = false
		for id, deps := range t.deps {
			for _, d := range deps {
				if u := t.uses[d] | t.uses[id]; u != t.uses[d] {
					t.uses[d] = u
					changed = true
				}
			}
		}
	}
}

// expand replaces virtual ids by the catalog columns that they stand for.
func (t *columnTable) expand(src []int32) []int32 {
	if len(t.deps) == 0 {
		return src
	}
	var out []int32
	done := map[int32]bool{}
	var add func(ids []int32)
	add = func(ids []int32) {
		for _, id := range ids {
			if done[id] {
				continue
			}
			done[id] = true
			if deps, ok := t.deps[id]; ok {
				add(deps)
			} else {
				out = append(out, id)
			}
		}
	}
	add(src)
	slices.Sort(out)
	return out
}

func (t *columnTable) sources(src []int32) []access.ColumnID {
	src = t.expand(src)
	if len(src) == 0 {
		return nil
	}
	out := make([]access.ColumnID, len(src))
	for i, id := range src {
		out[i] = t.ids[id]
	}
	return out
}

// union merges two sorted sets; neither is written to.
func union(x, y []int32) []int32 {
	switch {
	case len(x) == 0:
		return y
	case len(y) == 0:
		return x
	case &x[0] == &y[0] && len(x) == len(y):
		return x
	}
	out := make([]int32, 0, len(x)+len(y))
	for len(x) > 0 && len(y) > 0 {
		switch {
		case x[0] < y[0]:
			out, x = append(out, x[0]), x[1:]
		case x[0] > y[0]:
			out, y = append(out, y[0]), y[1:]
		default:
			out, x, y = append(out, x[0]), x[1:], y[1:]
		}
	}
	out = append(out, x...)
	return append(out, y...)
}

// join is the value of an expression over several others.
func join(vs ...value) value {
	var out value
	for _, v := range vs {
		out.src = union(out.src, v.src)
	}
	return out
}
