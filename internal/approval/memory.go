package approval

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"
)

// Memory is what tasks have seen: words of the rows that they were given, as hashes, and the relations that they have touched.
// It tells a statement that repeats what a row said from one that an agent came up with. It lives in memory, is bounded, and
// forgets the oldest tasks first. The zero value is ready.
type Memory struct {
	mu    sync.Mutex
	seed  maphash.Seed
	tasks map[string]*seen
	order []string // of tasks, the oldest first
}

type seen struct {
	phrases   map[uint64]struct{}
	relations []string
}

const (
	phraseWords   = 4  // words of a phrase
	leastPhrase   = 16 // characters of one: "select id from t" is nobody's idea
	mostPhrases   = 1 << 15
	mostTasks     = 256
	mostRelations = 200
	mostText      = 64 << 10 // bytes of a result that are looked at
	mostOverlap   = 3
)

func (m *Memory) of(task string) *seen {
	if m.tasks == nil {
		m.tasks, m.seed = map[string]*seen{}, maphash.MakeSeed()
	}
	s := m.tasks[task]
	if s == nil {
		if len(m.order) >= mostTasks {
			delete(m.tasks, m.order[0])
			m.order = m.order[1:]
		}
		s = &seen{phrases: map[uint64]struct{}{}}
		m.tasks[task], m.order = s, append(m.order, task)
	}
	return s
}

// Saw remembers the values that a task was given, and the relations that they came from. texts is called with what takes a value.
func (m *Memory) Saw(task string, relations []string, texts func(func(string))) {
	if task == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.of(task)
	for _, r := range relations {
		if len(s.relations) < mostRelations && !slices.Contains(s.relations, r) {
			s.relations = append(s.relations, r)
		}
	}
	left := mostText
	texts(func(v string) {
		if left -= len(v); left < 0 || len(s.phrases) >= mostPhrases || len(v) < leastPhrase {
			return
		}
		phrases(v, func(p string) bool {
			s.phrases[maphash.String(m.seed, p)] = struct{}{}
			return len(s.phrases) < mostPhrases
		})
	})
}

// Recall gives the phrases of text that a task was given in rows, a few of them, and the relations that it has touched.
func (m *Memory) Recall(task, text string) (overlap, relations []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.tasks[task]
	if s == nil {
		return nil, nil
	}
	phrases(text, func(p string) bool {
		if _, ok := s.phrases[maphash.String(m.seed, p)]; ok && !slices.Contains(overlap, p) {
			overlap = append(overlap, p)
		}
		return len(overlap) < mostOverlap
	})
	return overlap, slices.Clone(s.relations)
}

// phrases calls f with each run of phraseWords words of a text, in small letters, until it answers false.
func phrases(text string, f func(string) bool) {
	w := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return r < '0' || r > '9' && r < 'a' || r > 'z' && r < 0x80
	})
	for i := 0; i+phraseWords <= len(w); i++ {
		if p := strings.Join(w[i:i+phraseWords], " "); len(p) >= leastPhrase && !f(p) {
			return
		}
	}
}
