package approval

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"sallyport/internal/access"
)

// TestDigestHoldsEverything changes each field of a binding, and the time, and wants another digest each time. A field that
// is added later is in the loop by itself.
func TestDigestHoldsEverything(t *testing.T) {
	base := Binding{Principal: "a", Issuer: "https://idp.example", Actors: []string{"b"}, Door: access.DoorMCP, Session: "s", Connection: "c", SQL: "SELECT 1", Inner: []string{"i"}, Params: []Param{{Text: "1", Type: 23, Binary: true, Bytes: []byte{0, 0, 0, 1}}}, Types: []string{"23"}, Bound: "x",
		Role: "r", Path: []string{"public"}, Settings: []string{"timezone=UTC"}, PolicyVersion: "p", CatalogVersion: "k", Rows: 5, Columns: []string{"public.customers.email"}}
	until := start.Add(time.Hour)
	seen := map[string]string{base.Digest(until): "nothing"}
	note := func(b Binding, at time.Time, what string) {
		d := b.Digest(at)
		if old, ok := seen[d]; ok {
			t.Errorf("changing %s and %s give one digest", what, old)
		}
		seen[d] = what
	}
	v := reflect.ValueOf(&base).Elem()
	for i := range v.NumField() {
		b := base
		f := reflect.ValueOf(&b).Elem().Field(i)
		switch f.Kind() {
		case reflect.String:
			f.SetString(f.String() + "x")
		case reflect.Int64:
			f.SetInt(f.Int() + 1)
		case reflect.Slice:
			if _, ok := f.Interface().([]Param); ok {
				continue // TestDigestHoldsParameters
			}
			if _, ok := f.Interface().([]Hidden); ok {
				continue // below
			}
			f.Set(reflect.ValueOf([]string{f.Index(0).String(), ""}))
		default:
			t.Fatalf("field %s is of a kind that this test does not know", v.Type().Field(i).Name)
		}
		note(b, until, v.Type().Field(i).Name)
	}
	note(base, until.Add(1), "expiry")
	b := base
	b.SQL, b.Params = "SELECT 11", nil
	note(b, until, "params moved into sql")
	b = base
	b.Actors, b.Principal = nil, "ab"
	note(b, until, "actor moved into principal")
	b = base
	b.Params = []Param{{Text: "1"}, {Text: "2"}}
	note(b, until, "a second parameter")
	b.Params = []Param{{Text: "12"}}
	note(b, until, "parameters joined")
	b.Issuer, b.Columns = "", []string{"1", "public.customers.email"}
	note(b, until, "no issuer")
	b.Issuer, b.Columns = "2", []string{"public.customers.email"}
	note(b, until, "a column moved into the issuer")
	b.Columns = nil
	note(b, until, "no columns")
	for what, hidden := range map[string][]Hidden{"something hidden": {{"public.t", []string{"rows", "a"}}}, "less": {{"public.t", []string{"rows"}}}, "of another relation": {{"public.u", []string{"rows", "a"}}},
		"of two relations": {{"public.t", []string{"rows"}}, {"public.u", []string{"a"}}}, "a column that is called like a relation": {{"public.t", []string{"rows", "public.u", "1", "a"}}}} {
		b := base
		b.Hidden = hidden
		note(b, until, what)
		b.Issuer, b.Columns = "", nil
		note(b, until, what+", without issuer and columns")
	}
}

// TestDigestHoldsParameters changes each field of a parameter, and wants another digest each time.
func TestDigestHoldsParameters(t *testing.T) {
	base := Param{Text: "NULL", Type: 25, Named: "text", Bytes: []byte("NULL")}
	digest := func(p Param) string { return Binding{SQL: "s", Params: []Param{p}}.Digest(start) }
	seen := map[string]string{digest(base): "nothing"}
	for i := range reflect.TypeOf(base).NumField() {
		p, name := base, reflect.TypeOf(base).Field(i).Name
		switch f := reflect.ValueOf(&p).Elem().Field(i); f.Kind() {
		case reflect.String:
			f.SetString("x")
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Uint32:
			f.SetUint(1)
		case reflect.Slice:
			f.SetBytes([]byte("x"))
		default:
			t.Fatalf("field %s is of a kind that this test does not know", name)
		}
		old, ok := seen[digest(p)]
		if ok != (name == "Named") {
			t.Errorf("changing %s, and %s: one digest: %t", name, old, ok)
		}
		seen[digest(p)] = name
	}
}

// TestTypedRanges: NULL, what cannot be told, and what was sent in another form or of another type are in no range that does not name them.
func TestTypedRanges(t *testing.T) {
	form := func(seen Param, g Range) Request {
		r := approved(Grant{Mode: Form, Uses: 5, Until: start.Add(time.Hour), Ranges: []Range{{In: []string{"7"}}, g}})
		r.Binding.Params = []Param{seen}
		return r
	}
	text := func(s string) Param { return Param{Text: s, Type: 25} }
	null := Param{Null: true, Type: 25}
	for name, c := range map[string]struct {
		seen Param
		g    Range
		runs Param
		want bool
	}{
		"the text NULL stays it":      {text("NULL"), Range{In: []string{"NULL"}}, text("NULL"), true},
		"NULL is not the text":        {text("NULL"), Range{In: []string{"NULL"}}, null, false},
		"the text is not NULL":        {null, Range{Null: true}, text("NULL"), false},
		"NULL stays NULL":             {null, Range{Null: true}, null, true},
		"any is not NULL":             {text("a"), Range{Any: true}, null, false},
		"any or NULL is":              {text("a"), Range{Any: true, Null: true}, null, true},
		"any":                         {text("a"), Range{Any: true}, text("b"), true},
		"binary for text":             {Param{Text: "4999", Type: 701}, Range{Least: "4000"}, Param{Text: "5000", Type: 701, Binary: true, Bytes: []byte{1}}, false},
		"binary for binary":           {Param{Text: "4999", Type: 23, Binary: true}, Range{Least: "4000"}, Param{Text: "5000", Type: 23, Binary: true}, true},
		"too small in binary":         {Param{Text: "4999", Type: 701, Binary: true}, Range{Least: "4000"}, Param{Text: "1", Type: 701, Binary: true}, false},
		"of another type":             {text("4999"), Range{Least: "4000"}, Param{Text: "5000", Type: 17}, false},
		"what cannot be told, in any": {text("a"), Range{Any: true}, Param{Text: `\x01`, Type: 25, Opaque: true}, false},
	} {
		r, want := form(c.seen, c.g), form(c.runs, Range{})
		want.State, want.Grant = "", nil
		if got := r.Covers(&want, "boot1", start); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
		r.State, r.Subject.Kind = Pending, SubjectStatement
		if err := r.narrower(*r.Grant, start); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	opaque := form(Param{Text: `\x01`, Opaque: true}, Range{Any: true})
	if err := opaque.narrower(*opaque.Grant, start); err == nil {
		t.Error("a range is given over what cannot be told")
	}
	var old Binding
	if err := json.Unmarshal([]byte(`{"params":["NULL"]}`), &old); err != nil || !old.Params[0].Opaque || old.Params[0].Null {
		t.Errorf("%+v %v", old, err)
	}
}

func approved(g Grant) Request {
	r := modelWant("p1")
	r.State, r.Boot, r.Grant, r.Expires = Approved, "boot1", &g, start.Add(time.Hour)
	r.Subject.Normal, r.Subject.Constants = "DELETE FROM customers WHERE id = ?", []string{"7"}
	r.Digest = r.Binding.Digest(r.Expires)
	return r
}

func want(change func(*Request)) *Request {
	w := modelWant("p1")
	w.Subject.Normal, w.Subject.Constants = "DELETE FROM customers WHERE id = ?", []string{"7"}
	change(&w)
	return &w
}

func TestCovers(t *testing.T) {
	until := start.Add(30 * time.Minute)
	once := approved(Grant{Mode: Once, Until: until})
	form := approved(Grant{Mode: Form, Uses: 2, Until: until, Ranges: []Range{{Least: "1", Most: "10"}}})
	window := approved(Grant{Mode: Window, Until: until, Classes: []access.Class{access.ClassWrite}, Relations: []string{"delete public.customers"}})
	used := approved(Grant{Mode: Form, Uses: 2, Until: until, Ranges: []Range{{Any: true}}})
	used.Uses = 2
	reveal := approved(Grant{Mode: Reveal, Until: until, Columns: []string{"public.customers.email"}})
	none := approved(Grant{Until: until})
	pending := approved(Grant{Mode: Once, Until: until})
	pending.State = Pending
	nothing := func(*Request) {}
	other := func(w *Request) {
		w.Binding.SQL, w.Subject.Constants = "DELETE FROM customers WHERE id = 8", []string{"8"}
	}
	far := func(w *Request) {
		w.Binding.SQL, w.Subject.Constants = "DELETE FROM customers WHERE id = 11", []string{"11"}
	}
	for _, c := range []struct {
		name string
		r    Request
		want *Request
		at   time.Time
		boot string
		ok   bool
	}{
		{"the same", once, want(nothing), start, "boot1", true},
		{"too late", once, want(nothing), until, "boot1", false},
		{"other constant", once, want(other), start, "boot1", false},
		{"other session", once, want(func(w *Request) { w.Binding.Session = "s2" }), start, "boot1", false},
		{"other session after a restart", once, want(func(w *Request) { w.Binding.Session = "s2" }), start, "boot2", true},
		{"other principal after a restart", once, want(func(w *Request) { w.Binding.Session = "s2"; w.Binding.Principal = "eve" }), start, "boot2", false},
		{"other actor", once, want(func(w *Request) { w.Binding.Actors = nil }), start, "boot1", false},
		{"other door", once, want(func(w *Request) { w.Binding.Door = access.DoorMCP }), start, "boot1", false},
		{"other search_path", once, want(func(w *Request) { w.Binding.Path = []string{"evil", "public"} }), start, "boot1", false},
		{"other role", once, want(func(w *Request) { w.Binding.Role = "app" }), start, "boot1", false},
		{"other policies", once, want(func(w *Request) { w.Binding.PolicyVersion = "p2" }), start, "boot1", false},
		{"other catalog", once, want(func(w *Request) { w.Binding.CatalogVersion = "c2" }), start, "boot1", false},
		{"other row cap", once, want(func(w *Request) { w.Binding.Rows = 9 }), start, "boot1", false},
		{"a parameter more", once, want(func(w *Request) { w.Binding.Params = []Param{{Text: "1"}} }), start, "boot1", false},
		{"a space more", once, want(func(w *Request) { w.Binding.SQL += " " }), start, "boot1", false},
		{"not decided", pending, want(nothing), start, "boot1", false},
		{"no mode", none, want(nothing), start, "boot1", false},
		{"form, within", form, want(other), start, "boot1", true},
		{"form, beyond", form, want(far), start, "boot1", false},
		{"form, another session", form, want(func(w *Request) { w.Binding.Session = "s2" }), start, "boot1", true},
		{"form, used up", used, want(nothing), start, "boot1", false},
		{"form, other text", form, want(func(w *Request) { w.Subject.Normal = "DELETE FROM orders WHERE id = ?" }), start, "boot1", false},
		{"form, not a number", form, want(func(w *Request) { w.Subject.Constants = []string{"7 OR true"} }), start, "boot1", false},
		{"form, other path", form, want(func(w *Request) { w.Binding.Path = nil }), start, "boot1", false},
		{"window", window, want(other), start, "boot1", true},
		{"window, other class", window, want(func(w *Request) { w.Subject.Class = access.ClassDDL }), start, "boot1", false},
		{"window, a second relation", window, want(func(w *Request) {
			w.Subject.Relations = append([]string{"read public.orders"}, w.Subject.Relations...)
		}), start, "boot1", false},
		{"window, no relation", window, want(func(w *Request) { w.Subject.Relations = nil }), start, "boot1", false},
		{"window, every row", window, want(func(w *Request) { w.Subject.EveryRow = true }), start, "boot1", false},
		{"window, other policies", window, want(func(w *Request) { w.Binding.PolicyVersion = "p2" }), start, "boot1", false},
		{"a group that was not asked", once, want(func(w *Request) { w.Needs = []Need{{Group: "security"}} }), start, "boot1", false},
		{"form, a group that was not asked", form, want(func(w *Request) { w.Needs = []Need{{Group: "security"}} }), start, "boot1", false},
		{"window, a group that was not asked", window, want(func(w *Request) { w.Needs = []Need{{Group: "security"}} }), start, "boot1", false},
		{"other settings", once, want(func(w *Request) { w.Binding.Settings = []string{"datestyle=ISO, DMY"} }), start, "boot1", false},
		{"form, other settings", form, want(func(w *Request) { w.Binding.Settings = []string{"datestyle=ISO, DMY"} }), start, "boot1", false},
		{"window, other settings", window, want(func(w *Request) { w.Binding.Settings = []string{"datestyle=ISO, DMY"} }), start, "boot1", false},
		{"reveal covers no statement", reveal, want(nothing), start, "boot1", false},
	} {
		if got := c.r.Covers(c.want, c.boot, c.at); got != c.ok {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestRange(t *testing.T) {
	for _, c := range []struct {
		r    Range
		in   string
		want bool
	}{
		{Range{}, "1", false}, {Range{Any: true}, "x", true}, {Range{In: []string{"a", "b"}}, "b", true}, {Range{In: []string{"a"}}, "A", false},
		{Range{Least: "0", Most: "10"}, "10", true}, {Range{Least: "0", Most: "10"}, "10.01", false}, {Range{Least: "0"}, "-1", false},
		{Range{Most: "5"}, "-100", true}, {Range{Most: "5"}, "1e1", false}, {Range{Most: "5"}, "0x1", false}, {Range{Most: "5"}, "1/2", false},
		{Range{Most: "5"}, "NaN", false}, {Range{Most: "5"}, "", false}, {Range{Most: "x"}, "1", false}, {Range{Least: "1_0"}, "11", false},
	} {
		if got := c.r.admits(Value{Text: c.in}); got != c.want {
			t.Errorf("%+v admits %q: %v", c.r, c.in, got)
		}
	}
}

// TestGrantsAreNotWiderThanAsked lets a reviewer grant too much in each way that there is.
func TestGrantsAreNotWiderThanAsked(t *testing.T) {
	r := modelWant("p1")
	r.Needs, r.State, r.Created, r.Expires = []Need{{Group: "dba"}}, Pending, start, start.Add(time.Hour)
	r.Subject.Normal, r.Subject.Constants = "DELETE FROM customers WHERE id = ?", []string{"7"}
	soon := start.Add(time.Hour)
	dana := Reviewer{Name: "dana", Groups: []string{"dba"}, Human: true}
	for name, g := range map[string]Grant{
		"no mode but uses":        {Uses: 3},
		"unknown mode":            {Mode: "always"},
		"once with ranges":        {Mode: Once, Ranges: []Range{{Any: true}}},
		"once for ever":           {Mode: Once, Until: start.Add(1e6 * time.Hour)},
		"form without end":        {Mode: Form, Uses: 1},
		"form too long":           {Mode: Form, Uses: 1, Until: start.Add(MostWindow + 1)},
		"form in the past":        {Mode: Form, Uses: 1, Until: start},
		"form too often":          {Mode: Form, Uses: MostUses + 1, Until: soon},
		"form never":              {Mode: Form, Until: soon},
		"form with other ranges":  {Mode: Form, Uses: 1, Until: soon, Ranges: []Range{{Any: true}, {Any: true}}},
		"window of another class": {Mode: Window, Until: soon, Classes: []access.Class{access.ClassDDL}, Relations: []string{"delete public.customers"}},
		"window elsewhere":        {Mode: Window, Until: soon, Classes: []access.Class{access.ClassWrite}, Relations: []string{"delete public.salaries"}},
		"window of everything":    {Mode: Window, Until: soon},
		"form without its value":  {Mode: Form, Uses: 1, Until: soon, Ranges: []Range{{Least: "100", Most: "200"}}},
		"form of nothing":         {Mode: Form, Uses: 1, Until: soon, Ranges: []Range{{Least: "500", Most: "2"}}},
		"reveal":                  {Mode: Reveal, Until: soon, Columns: []string{"public.customers.email"}},
	} {
		if name == "no mode but uses" {
			g.Mode = Once
		}
		if n, err := Next(r, Step{Vote: &Vote{Verdict: Approve, Justification: "looked at the ticket", Grant: g}}, dana, modelTerms, start); err == nil {
			t.Errorf("%s: approved as %+v", name, n.Grant)
		}
	}
	for name, g := range map[string]Grant{
		"nothing said": {},
		"once":         {Mode: Once},
		"form":         {Mode: Form, Uses: 5, Until: soon, Ranges: []Range{{Least: "1", Most: "9"}}},
		"window":       {Mode: Window, Until: soon, Classes: []access.Class{access.ClassWrite}, Relations: []string{"delete public.customers"}},
	} {
		n, err := Next(r, Step{Vote: &Vote{Verdict: Approve, Justification: "looked at the ticket", Grant: g}}, dana, modelTerms, start)
		if err != nil || n.State != Approved {
			t.Errorf("%s: %v %s", name, err, n.State)
		}
	}
}
