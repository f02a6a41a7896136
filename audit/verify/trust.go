package verify

import (
	"sallyport/audit/checkpoint"
)

// isKept reads the checkpoint that was kept elsewhere.
func (v *dirVerifier) isKept(trust Trust, keys checkpoint.Keys) {
	if trust.Kept == nil {
		return
	}
	c, err := keys.Open(trust.Kept)
	if err != nil {
		v.problem("the checkpoint that was kept elsewhere: %v", err)
		return
	}
	v.kept, v.keptMatched = &c, c.Tree.N == 0
	if n := v.head.Tree.N; n < c.Tree.N && v.head.Origin != "" {
		v.problem("the log was rolled back: its checkpoint has %d records, and the one that was kept elsewhere has %d", n, c.Tree.N)
	}
}

func (v *dirVerifier) finishKept() {
	if v.kept == nil {
		return
	}
	switch n := v.kept.Tree.N; {
	case v.all.size < n:
		v.problem("the log was rolled back, or its end was cut off: it has %d records, and the checkpoint that was kept elsewhere has %d", v.all.size, n)
	case !v.keptMatched:
		v.problem("the first %d records are not those of the checkpoint that was kept elsewhere: they were made again", n)
	default:
		v.proven("the first %d records are those of the checkpoint that was kept elsewhere", n)
	}
}
