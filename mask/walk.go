package mask

import (
	pg "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// walk calls f for every message of a parse tree, parents first; f gives false to leave out what is
// below. It goes by the schema, not by a list of node types, so no part of a tree can be missed.
func walk(m protoreflect.Message, f func(n any) bool) {
	if !m.IsValid() || !f(m.Interface()) {
		return
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.Message() == nil || fd.IsMap() {
			return true
		}
		if !fd.IsList() {
			walk(v.Message(), f)
			return true
		}
		for l, i := v.List(), 0; i < l.Len(); i++ {
			walk(l.Get(i).Message(), f)
		}
		return true
	})
}

// walkNode is walk over a node and what is below it.
func walkNode(n *pg.Node, f func(n any) bool) {
	if n != nil {
		walk(n.ProtoReflect(), f)
	}
}

// clone copies a tree.
func clone[T proto.Message](n T) T { return proto.Clone(n).(T) }
