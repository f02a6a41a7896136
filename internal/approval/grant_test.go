package approval

import (
	"reflect"
	"testing"
	"time"
)

// TestSameGrantComparesAll: the word of the last of several reviewers is in force, so what any field of a grant says has to be what the others said.
func TestSameGrantComparesAll(t *testing.T) {
	whole := func() Grant {
		return Grant{Mode: Form, Uses: 2, Until: start.Add(time.Hour), Ranges: []Range{{Least: "1", Most: "10"}}, Relations: []string{"update a.b"}, Columns: []string{"a.b.c"}}
	}
	if !sameGrant(whole(), whole()) {
		t.Fatal("not the same as itself")
	}
	change := func(what string, v reflect.Value, of *Grant) {
		switch v.Kind() {
		case reflect.Bool:
			v.SetBool(!v.Bool())
		case reflect.String:
			v.SetString(v.String() + "1")
		case reflect.Int:
			v.SetInt(v.Int() + 1)
		case reflect.Slice:
			v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
		case reflect.Struct:
			v.Set(reflect.ValueOf(start))
		default:
			t.Fatalf("%s has a type that this test does not know", what)
		}
		if sameGrant(whole(), *of) {
			t.Errorf("%s is not looked at", what)
		}
	}
	for i := range reflect.TypeFor[Grant]().NumField() {
		g := whole()
		change(reflect.TypeFor[Grant]().Field(i).Name, reflect.ValueOf(&g).Elem().Field(i), &g)
	}
	for i := range reflect.TypeFor[Range]().NumField() {
		g := whole()
		change("Range."+reflect.TypeFor[Range]().Field(i).Name, reflect.ValueOf(&g.Ranges[0]).Elem().Field(i), &g)
	}
}
