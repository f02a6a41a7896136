package gateway

import (
	"sync"

	"sallyport/internal/access"
	"sallyport/sqlguard/policy"
)

// A scope is everything that a decision and a compiled statement depend on besides the text: who asks
// through which door, of which catalog, under which policies and search_path, with a reason or without.
// Plans are cached within one; a change of any part is another scope, so nothing is ever invalidated.
type scope struct {
	db        *database
	snap      *snapshot
	policies  *policy.Set
	principal access.Principal
	door      access.Door
	path      []string
	hasReason bool
	reason    string
	revealed  reveals

	masked       bool // some column of this database is masked for this principal, or some rows are hidden
	writable     map[access.Label]access.ColumnID
	unrestricted access.Decision
	pins         access.Pins

	mu     sync.RWMutex
	texts  map[string][]judged
	shapes map[string]*template // nil entries: this shape has no template
}

const (
	maxTexts  = 4096 // entries of a scope, of each kind
	maxScopes = 512
	maxText   = 16 << 10 // longer texts are planned each time
)

func (sc *scope) text(sql string) ([]judged, bool) {
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	list, ok := sc.texts[sql]
	return list, ok
}

func (sc *scope) shape(key []byte) (*template, bool) {
	sc.mu.RLock()
	defer sc.mu.RUnlock()
	t, ok := sc.shapes[string(key)]
	return t, ok
}

func (sc *scope) putText(sql string, list []judged) {
	if len(sql) > maxText {
		return
	}
	sc.mu.Lock()
	defer sc.mu.Unlock()
	evict(sc.texts, maxTexts)
	sc.texts[sql] = append([]judged(nil), list...)
}

func (sc *scope) putShape(key []byte, t *template) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	evict(sc.shapes, maxTexts)
	sc.shapes[string(key)] = t
}

// evict makes room by dropping a random quarter: map order is random, and a hot entry is soon back.
func evict[K comparable, V any](m map[K]V, most int) {
	if len(m) < most {
		return
	}
	drop := most / 4
	for k := range m {
		if drop--; drop < 0 {
			return
		}
		delete(m, k)
	}
}
