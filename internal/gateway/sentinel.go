package gateway

import (
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/mask"
)

// refuseSentinels looks at what the client gives for the parameters that are stored in masked columns.
func (p *plan) refuseSentinels(params []string) *access.Error {
	if p == nil {
		return nil
	}
	for _, g := range p.guarded {
		if g.Param > len(params) {
			continue
		}
		if err := g.Refuse(params[g.Param-1]); err != nil {
			return access.AsError(err)
		}
	}
	return nil
}

// knownTypes adds the types of guarded parameters to those that the client declared: a value in binary can be
// read only by its type.
func (p *plan) knownTypes(declared []uint32) []uint32 {
	if len(p.guarded) == 0 {
		return declared
	}
	out := slices.Clone(declared)
	for _, g := range p.guarded {
		for len(out) < g.Param {
			out = append(out, 0)
		}
		if out[g.Param-1] == 0 {
			out[g.Param-1] = g.TypeOID
		}
	}
	return out
}

// sentinels says whether a literal of the shape just cut from sql may be a masked value: such a statement
// is judged by itself.
func (b *shapeBuffer) sentinels(sql string) bool {
	return slices.ContainsFunc(b.lits, func(l span) bool { return mask.MayBeSentinel(sql[l.from:l.to]) })
}

// constantText is the text of a constant, or "".
func constantText(n *pg.Node) string {
	for n.GetTypeCast() != nil {
		n = n.GetTypeCast().GetArg()
	}
	switch v := n.GetAConst().GetVal().(type) {
	case *pg.A_Const_Sval:
		return v.Sval.GetSval()
	case *pg.A_Const_Ival:
		return strconv.Itoa(int(v.Ival.GetIval()))
	case *pg.A_Const_Fval:
		return v.Fval.GetFval()
	}
	return ""
}
