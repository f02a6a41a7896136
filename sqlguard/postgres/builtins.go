package postgres

import (
	_ "embed"
	"strings"
	"sync"
)

// shapesText lists the built-in functions that do not simply give one value: name, whether any
// overload returns a set, and the columns that it has in FROM ("-" for a plain value, "?" where that
// depends on the overload or on the types of its arguments). TestShapesMatchServer keeps it true.
//
//go:embed shapes.tsv
var shapesText string

type builtinShape struct {
	set     bool
	columns []string
	shape   shape
}

var shapes = sync.OnceValue(func() map[string]builtinShape {
	out := map[string]builtinShape{}
	for line := range strings.Lines(shapesText) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 3 {
			continue
		}
		s := builtinShape{set: f[1] == "set"}
		switch f[2] {
		case "-":
			s.shape = scalarShape
		case "?":
			s.shape = unknownShape
		default:
			s.shape, s.columns = rowShape, strings.Split(f[2], ",")
		}
		out[f[0]] = s
	}
	return out
})

// builtinReturnsSet says whether any built-in function of that name returns a set.
func builtinReturnsSet(name string) bool { return shapes()[name].set }

// builtinColumns gives the columns that a built-in function has in FROM.
func builtinColumns(name string) ([]string, shape) {
	s, ok := shapes()[name]
	if !ok {
		return nil, scalarShape
	}
	return s.columns, s.shape
}
