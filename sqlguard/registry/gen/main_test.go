package main

import (
	"slices"
	"testing"
)

func TestMergeKeepsWhatWasDecided(t *testing.T) {
	list := "// head\nb\tpure\tnote\na\tadmin\t\n"
	got, added := merge(list, []string{"a\tunclassified\tx", "c\tunclassified\ty"}, 1)
	if want := "// head\na\tadmin\t\nb\tpure\tnote\nc\tunclassified\ty\n"; got != want {
		t.Errorf("merged to %q, want %q", got, want)
	}
	if !slices.Equal(added, []string{"c"}) {
		t.Errorf("added %q", added)
	}
	if again, added := merge(got, []string{"c\tunclassified\ty"}, 1); again != got || added != nil {
		t.Errorf("a second run changed it to %q, added %q", again, added)
	}
}

func TestMergeByTwoColumns(t *testing.T) {
	_, added := merge("s\tx\topen\t\n", []string{"s\tx\tunclassified\t", "t\tx\tunclassified\t"}, 2)
	if !slices.Equal(added, []string{"t.x"}) {
		t.Errorf("added %q", added)
	}
}
