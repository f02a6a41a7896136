package mutate

import (
	"path/filepath"
	"testing"
)

func TestVerdictsHoldInTheirWorld(t *testing.T) {
	name := filepath.Join(t.TempDir(), "verdicts.tsv")
	open := func(all, a, b string) *journal {
		j, err := openJournal(name, all, map[string]string{"a": a, "b": b})
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	j := open("w1", "a1", "b1")
	for key, v := range map[string]verdict{"by a": {killed, "a TestX/sub"}, "by b": {killed, "b TestY (panic)"}, "lives": {state: survived}} {
		if err := j.add(key, v); err != nil {
			t.Fatal(err)
		}
	}
	j = open("w1", "a1", "b1")
	for _, key := range []string{"by a", "by b", "lives"} {
		if _, ok := j.get(key); !ok {
			t.Errorf("%s is forgotten though nothing changed", key)
		}
	}
	j = open("w2", "a2", "b1")
	if _, ok := j.get("by a"); ok {
		t.Error("a kill by a test that changed is believed")
	}
	if _, ok := j.get("lives"); ok {
		t.Error("a mutant is said to live though a test changed")
	}
	if v, ok := j.get("by b"); !ok || v.state != killed {
		t.Error("a kill by a test that did not change is forgotten")
	}
	x, y := &test{bin: binary{pkg: "a"}, name: "TestX"}, &test{bin: binary{pkg: "b"}, name: "TestY"}
	if !x.is(j.hints["by a"]) || !y.is(j.hints["by b"]) || x.is(j.hints["by b"]) || x.is(j.hints["lives"]) {
		t.Errorf("hints: %v", j.hints)
	}
	near := j.killers([]point{{key: "p f: case 1"}, {key: "by a"}, {key: "lives"}})
	if near["by a"] != "a TestX/sub" || len(near) != 1 {
		t.Errorf("killers: %v", near)
	}
}
