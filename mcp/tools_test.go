package mcp

import (
	"encoding/json"
	"testing"
)

func eras(t *testing.T, f func(t *testing.T, protocol string)) {
	for _, p := range []string{legacy, modern} {
		t.Run(p, func(t *testing.T) { f(t, p) })
	}
}

func TestToolsListIsWithinItsBudget(t *testing.T) {
	eras(t, func(t *testing.T, protocol string) {
		w := dial(t, newTestServer(t, newFake(), Options{}), anna, protocol)
		res := w.must("tools/list", nil)
		b, err := json.Marshal(res)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("tools/list: %d bytes, %d tokens", len(b), len(b)/4)
		if len(b) > 5480 { // a real gateway's list has some 120 bytes more
			t.Errorf("tools/list has %d bytes, more than 5480: with what a gateway adds, 1,400 tokens", len(b))
		}
		list, _ := res["tools"].([]any)
		if len(list) != 7 {
			t.Errorf("%d tools", len(list))
		}
	})
}

func TestAMinimalConversation(t *testing.T) {
	eras(t, func(t *testing.T, protocol string) {
		f := newFake()
		w := dial(t, newTestServer(t, f, Options{}), anna, protocol)
		task := w.task()
		if r := w.call("list_connections", nil); r.isError {
			t.Fatal(r.text)
		}
		r := w.query(task, "select id, email from customers")
		if r.isError || r.body["row_count"] != 3.0 || r.body["untrusted"] != true || r.body["record"] != 42.0 {
			t.Fatalf("%+v", r)
		}
		t.Log(r.text)
		if q := f.queries[0]; q.Task.ID != task || q.Task.Goal == "" || q.Reason != why {
			t.Errorf("the core was told %+v", q)
		}
	})
}
