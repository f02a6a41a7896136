package fuzztwin

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// optional are fields of the syntax tree without which a statement is one still.
var optional = []string{"where_clause", "having_clause", "limit_count", "limit_offset", "with_clause", "sort_clause", "group_clause",
	"distinct_clause", "returning_list", "agg_filter", "agg_order", "over", "window_clause", "locking_clause", "from_clause",
	"partition_clause", "order_clause", "defresult"}

// shortened are lists of which members can go, down to one.
var shortened = []string{"target_list", "from_clause", "args", "ctes", "sort_clause", "group_clause", "values_lists", "elements",
	"returning_list", "agg_order", "distinct_clause", "content", "row"}

// A kind of node stands where another of the same kind can.
var kinds = map[string]int{
	"a_expr": 1, "bool_expr": 1, "func_call": 1, "column_ref": 1, "a_const": 1, "type_cast": 1, "case_expr": 1, "coalesce_expr": 1,
	"min_max_expr": 1, "sub_link": 1, "row_expr": 1, "a_array_expr": 1, "null_test": 1, "boolean_test": 1, "a_indirection": 1,
	"collate_clause": 1, "xml_expr": 1, "xml_serialize": 1,
	"range_var": 2, "join_expr": 2, "range_subselect": 2, "range_function": 2, "range_table_sample": 2,
	"select_stmt": 3, "insert_stmt": 3, "update_stmt": 3, "delete_stmt": 3, "merge_stmt": 3,
}

// minimise cuts a statement down while it fails still, with so many tries. Where the tree cannot be written back to a
// statement that fails, it stays as it was.
func minimise(sql string, tries int, fails func(string) bool) string {
	tree, err := pg_query.Parse(sql)
	if err != nil {
		return sql
	}
	best, err := pg_query.Deparse(tree)
	if err != nil || !fails(best) {
		return sql
	}
	for progress := true; progress; {
		progress = false
		for i := 0; tries > 0; {
			less := proto.Clone(tree).(*pg_query.ParseResult)
			list := cuts(less.ProtoReflect())
			if i >= len(list) {
				break
			}
			list[i]()
			text, err := pg_query.Deparse(less)
			if err != nil || len(text) >= len(best) {
				i++
				continue
			}
			tries--
			if !fails(text) {
				i++
				continue
			}
			tree, best, progress = less, text, true
		}
	}
	return best
}

// cuts are the ways to make a tree smaller, the large ones first.
func cuts(m protoreflect.Message) []func() {
	var out, deeper []func()
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		name := string(f.Name())
		if name == "sort_clause" && m.Has(m.Descriptor().Fields().ByName("limit_count")) {
			return true // LIMIT without a total order differs by itself
		}
		if slices.Contains(optional, name) {
			out = append(out, func() { m.Clear(f) })
		}
		switch {
		case f.IsList() && f.Message() != nil:
			list := v.List()
			if slices.Contains(shortened, name) && list.Len() > 1 {
				for i := range list.Len() {
					out = append(out, func() { remove(list, i) })
				}
			}
			for i := range list.Len() {
				out = append(out, raises(list.Get(i).Message())...)
				deeper = append(deeper, cuts(list.Get(i).Message())...)
			}
		case f.Message() != nil && !f.IsList() && !f.IsMap():
			out = append(out, raises(v.Message())...)
			deeper = append(deeper, cuts(v.Message())...)
		}
		return true
	})
	return append(out, deeper...)
}

func remove(l protoreflect.List, i int) {
	for ; i < l.Len()-1; i++ {
		l.Set(i, l.Get(i+1))
	}
	l.Truncate(l.Len() - 1)
}

// raises put a part of a node into its place.
func raises(m protoreflect.Message) []func() {
	if m.Descriptor().Name() != "Node" {
		return nil
	}
	kind := kindOf(m)
	if kind == 0 {
		return nil
	}
	var out []func()
	for _, part := range below(m) {
		if kindOf(part) == kind {
			out = append(out, func() {
				copied := proto.Clone(part.Interface()).ProtoReflect()
				f := copied.WhichOneof(copied.Descriptor().Oneofs().Get(0))
				m.Set(f, copied.Get(f))
			})
		}
	}
	return out
}

func kindOf(m protoreflect.Message) int {
	if f := m.WhichOneof(m.Descriptor().Oneofs().Get(0)); f != nil {
		return kinds[string(f.Name())]
	}
	return 0
}

// below are the nearest nodes under a node.
func below(m protoreflect.Message) []protoreflect.Message {
	var out []protoreflect.Message
	look := func(part protoreflect.Message) {
		if part.Descriptor().Name() == "Node" && kindOf(part) != 0 {
			out = append(out, part)
		} else {
			out = append(out, below(part)...)
		}
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				look(v.List().Get(i).Message())
			}
		case f.Message() != nil && !f.IsList() && !f.IsMap():
			look(v.Message())
		}
		return true
	})
	return out
}
