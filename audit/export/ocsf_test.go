package export

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/access"
)

// schema is a part of OCSF 1.9.0, transcribed into testdata/ocsf-1.9.0.json from the definitions in github.com/ocsf/ocsf-schema
// (Apache-2.0): attributes with their types, requirements, values of enumerations, and constraints, of the class and of
// those objects that we send. An attribute that is not in it is not in the class.
type schema map[string]schemaObject

type schemaObject struct {
	Attributes map[string]struct {
		Type     string            `json:"type"` // string, integer, long, boolean, timestamp, json, or an object's name; [] in front of arrays
		Required bool              `json:"required"`
		Enum     map[string]string `json:"enum"`    // id to caption
		Sibling  string            `json:"sibling"` // attribute that holds the caption
		Profile  string            `json:"profile"` // only there when metadata.profiles names it
	} `json:"attributes"`
	AtLeastOne []string `json:"at_least_one"`
}

func loadSchema(t *testing.T) schema {
	t.Helper()
	text, err := os.ReadFile("testdata/ocsf-1.9.0.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Objects schema }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return file.Objects
}

// check lists what is wrong with a value of an object's type.
func (s schema) check(path, object string, v any, profiles []string) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, path+": "+fmt.Sprintf(format, args...)) }
	def, ok := s[object]
	if !ok {
		say("the schema has no object %s", object)
		return
	}
	m, ok := v.(map[string]any)
	if !ok {
		say("%v is no %s", v, object)
		return
	}
	for name, a := range def.Attributes {
		v, there := m[name]
		if !there {
			if a.Required && (a.Profile == "" || slices.Contains(profiles, a.Profile)) {
				say("%s is required", name)
			}
			continue
		}
		if a.Profile != "" && !slices.Contains(profiles, a.Profile) {
			say("%s is of the profile %s, which metadata does not name", name, a.Profile)
		}
		if len(a.Enum) > 0 {
			id := strings.TrimSuffix(fmt.Sprint(v), ".0")
			caption, known := a.Enum[id]
			if !known {
				say("%s is %s, which is not one of its values", name, id)
			}
			if sib, there := m[a.Sibling]; there && caption != "Other" && sib != caption {
				say("%s is %q, and %s is %s (%s)", a.Sibling, sib, name, id, caption)
			}
		}
		kind, list := strings.CutPrefix(a.Type, "[]")
		values := []any{v}
		if list {
			if values, ok = v.([]any); !ok {
				say("%s is no array", name)
			}
		}
		for _, v := range values {
			switch kind {
			case "string":
				_, ok = v.(string)
			case "boolean":
				_, ok = v.(bool)
			case "integer", "long", "timestamp":
				var n float64
				n, ok = v.(float64)
				ok = ok && n == math.Trunc(n) && (kind != "integer" || math.Abs(n) <= math.MaxInt32) && (kind != "timestamp" || n > 1e12 && n < 1e14)
			case "json":
				_, ok = v.(map[string]any)
			default:
				wrong = append(wrong, s.check(path+"."+name, kind, v, profiles)...)
				ok = true
			}
			if !ok {
				say("%s is %v, which is no %s", name, v, kind)
			}
		}
	}
	for name := range m {
		if _, known := def.Attributes[name]; !known {
			say("%s has no attribute %s", object, name)
		}
	}
	if len(def.AtLeastOne) > 0 && !slices.ContainsFunc(def.AtLeastOne, func(n string) bool { return m[n] != nil }) {
		say("one of %v is needed", def.AtLeastOne)
	}
	return wrong
}

// events exports the story as OCSF.
func events(t *testing.T, l *testLog) ([]map[string]any, []byte) {
	t.Helper()
	dir := t.TempDir()
	c := fileConfig(dir + "/f")
	c.Format = OCSF
	start(t, l, dir, c).finish()
	text := read(t, dir+"/f")
	var out []map[string]any
	for line := range bytes.Lines(text) {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	return out, text
}

func TestOCSFEventsAreOfTheirClass(t *testing.T) {
	l := newLog(t)
	l.story()
	evs, text := events(t, l)
	if len(evs) != 10 {
		t.Fatalf("%d events", len(evs))
	}
	s := loadSchema(t)
	for i, ev := range evs {
		var profiles []string
		for _, p := range ev["metadata"].(map[string]any)["profiles"].([]any) {
			profiles = append(profiles, p.(string))
		}
		for _, w := range s.check(fmt.Sprint("record ", i+1), "datastore_activity", ev, profiles) {
			t.Error(w)
		}
	}
	checkChain(t, text)
	get := func(i int, path string) any {
		var v any = evs[i-1]
		for p := range strings.SplitSeq(path, ".") {
			m, _ := v.(map[string]any)
			v = m[p]
		}
		return v
	}
	for _, tc := range []struct {
		record int
		path   string
		want   any
	}{
		{1, "activity_id", 3.0}, {2, "activity_id", 4.0}, {3, "activity_id", 2.0}, {4, "activity_id", 2.0}, {5, "activity_id", 3.0},
		{6, "activity_id", 99.0}, {7, "activity_id", 4.0}, {8, "activity_id", 7.0}, {9, "activity_id", 7.0}, {10, "activity_id", 99.0},
		{2, "type_uid", 600504.0}, {2, "status_id", 1.0}, {3, "status", "about to run"}, {4, "status_id", 1.0}, {7, "status_id", 2.0}, {9, "status", "outcome unknown"},
		{7, "severity_id", 3.0}, {7, "status_code", "42501"}, {2, "src_endpoint.ip", "192.0.2.7"}, {2, "src_endpoint.port", 50123.0}, {2, "src_endpoint.name", "psql"},
		{4, "query_info.query_string", "UPDATE orders SET total = $1"}, {4, "table.name", "public.orders"}, {2, "query_info.bytes", 44.0},
		{7, "ai_agent.uid", "support-agent"}, {2, "ai_agent", nil}, {7, "metadata.correlation_uid", "task_1"}, {7, "unmapped.reason", "salaries, please"},
		{1, "actor.session.issuer", "https://id.example"}, {2, "actor.session.issuer", "https://id.example"}, {2, "actor.session.credential_uid", "c_1"}, {2, "actor.session.is_mfa", true},
		{2, "actor.user.uid_alt", "8f2c"}, {1, "unmapped.proof.method", "secret"}, {2, "unmapped.proof", nil}, {7, "actor.session.issuer", nil},
		{2, "unmapped.result", nil}, {2, "unmapped.digest", "sha256:54c9"}, {2, "duration", 3.0}, {6, "database.name", "unknown"},
	} {
		if got := get(tc.record, tc.path); got != tc.want {
			t.Errorf("record %d: %s is %v, want %v", tc.record, tc.path, got, tc.want)
		}
	}
	groups, _ := json.Marshal(get(2, "actor.user.groups"))
	if string(groups) != `[{"name":"engineers"}]` {
		t.Errorf("groups of the session: %s", groups)
	}
}

// The check itself must be able to fail.
func TestOCSFSchemaFindsWhatIsWrong(t *testing.T) {
	l := newLog(t)
	l.story()
	s := loadSchema(t)
	for _, tc := range []struct {
		change func(map[string]any)
		want   string
	}{
		{func(m map[string]any) { delete(m, "src_endpoint") }, "src_endpoint is required"},
		{func(m map[string]any) { m["activity_id"] = 42.0 }, "not one of its values"},
		{func(m map[string]any) { m["activity_name"] = "Delete" }, "activity_name"},
		{func(m map[string]any) { m["time"] = "now" }, "no timestamp"},
		{func(m map[string]any) { m["colour"] = "red" }, "no attribute colour"},
		{func(m map[string]any) { delete(m, "database") }, "one of"},
		{func(m map[string]any) { m["ai_agent"] = map[string]any{"uid": "x"} }, "of the profile ai_operation"},
	} {
		evs, _ := events(t, l)
		tc.change(evs[1])
		if delete(evs[1], "table"); !strings.Contains(strings.Join(s.check("", "datastore_activity", evs[1], []string{"record_integrity"}), "\n"), tc.want) {
			t.Errorf("not found: %s", tc.want)
		}
	}
}

// checkChain verifies the fingerprints of OCSF events as a receiver would, with code of its own: JSON with sorted keys and no
// space is RFC 8785 for what is in them (no fractions, keys in ASCII).
func checkChain(t *testing.T, text []byte) {
	t.Helper()
	before := ""
	for line := range bytes.Lines(text) {
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.UseNumber()
		var m map[string]any
		if err := dec.Decode(&m); err != nil {
			t.Fatal(err)
		}
		att := m["attestation"].(map[string]any)
		says := att["fingerprint"].(map[string]any)["value"].(string)
		delete(att, "fingerprint")
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(m); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
		if got := hex.EncodeToString(sum[:]); got != says {
			t.Fatalf("fingerprint is %s, its event has %s\n%s", says, got, b.Bytes())
		}
		prev, _ := att["prev_event"].(map[string]any)
		if (prev == nil) != (before == "") || prev != nil && prev["fingerprint"].(map[string]any)["value"] != before {
			t.Fatalf("the chain is broken at %s", line)
		}
		before = says
	}
}

// A step of a request is told whole, in the names of the record: who decided, and who stands in for whom.
func TestOCSFCarriesTheStepsOfRequests(t *testing.T) {
	l := newLog(t)
	l.add(&access.Record{Session: "s_gate", Kind: access.RecordReview, Principal: "ada", Connection: "shop", Approval: "r1",
		Review: json.RawMessage(`{"from":"pending","to":"pending","digest":"d1","expires":"2026-11-26T10:00:00Z","escalated":{"group":"dba","quorum":1,"after_ms":1800000,"to":["leads"]}}`)})
	if kept := strip(entry{Record: &access.Record{Review: json.RawMessage("{}"), Approval: "r1"}}, []string{"review"}); kept.Review != nil || kept.Approval != "r1" {
		t.Errorf("left out is not %+v", kept.Record)
	}
	evs, text := events(t, l)
	checkChain(t, text)
	rest := evs[len(evs)-1]["unmapped"].(map[string]any)
	step, _ := rest["review"].(map[string]any)
	e, _ := step["escalated"].(map[string]any)
	if rest["approval"] != "r1" || step["to"] != "pending" || e["group"] != "dba" || e["after_ms"] != 1800000.0 {
		t.Errorf("%v", rest)
	}
	if wrong := loadSchema(t).check("", "datastore_activity", evs[len(evs)-1], []string{"record_integrity"}); len(wrong) > 0 {
		t.Error(wrong)
	}
}
