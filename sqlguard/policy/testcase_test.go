package policy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
)

const cases = `
- name: agents read, with limits
  principal: bot
  connection: shop
  action: read
  resource: Column::"shop.public.customers.email"
  labels: [pii.email]
  reason: looking into ticket 4711
  expect: allow
  rows: 1000
  timeout: 10s
  policies: [agents-read]
- name: not without a reason
  principal: bot
  action: read
  resource: Table::"shop.public.orders"
  expect: deny
- name: a stranger
  principal: mallory
  kind: human
  groups: [visitors]
  action: connect
  resource: Connection::"shop"
  expect: deny
- name: a statement
  principal: bot
  connection: shop
  sql: SELECT 1
  expect: allow
  masked: [public.customers.email]
`

var known = map[string]access.Principal{"bot": agent}

func TestCases(t *testing.T) {
	list, err := ParseCases(File{"cases.yaml", cases}, known, "")
	if err != nil {
		t.Fatal(err)
	}
	s := mustLoad(t, Starter)
	for _, c := range list[:3] {
		if differs := s.Run(c); len(differs) > 0 {
			t.Errorf("%s:%d %s: %q", c.File, c.Line, c.Name, differs)
		}
	}
	if list[1].Line != 13 {
		t.Errorf("the second case is in line %d", list[1].Line)
	}
	empty := mustLoad(t, "")
	if differs := empty.Run(list[0]); len(differs) != 4 || !strings.Contains(differs[0], "effect: expected allow, got deny") {
		t.Errorf("an empty policy differs by %q", differs)
	}
	got := access.Decision{Effect: access.Allow, Masked: []access.ColumnID{{Relation: customers, Column: "phone"}}}
	if differs := list[3].Check(got); !slices.Equal(differs, []string{"masked: expected [public.customers.email], got [public.customers.phone]"}) {
		t.Errorf("differs by %q", differs)
	}
	got = access.Decision{Effect: access.Deny, Message: "no", Obligations: access.Obligations{Timeout: time.Second}}
	if differs := list[0].Check(got); len(differs) != 4 || !strings.Contains(differs[0], "got deny (no)") {
		t.Errorf("differs by %q", differs)
	}
}

func TestBadCasesAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		"- name: x\n  principl: y\n":                                                                           "cases.yaml:1:3: case \"x\": field principl not found",
		"- principal: bot\n  sql: x\n  expect: allow\n":                                                        "a case needs a name",
		"- name: x\n  principal: who\n  sql: x\n  expect: allow\n  connection: shop\n":                         `principal "who" is not in the configuration`,
		"- name: x\n  principal: bot\n  sql: x\n  expect: yes\n":                                               `expect is "yes": allow, deny or review`,
		"- name: x\n  principal: bot\n  expect: allow\n":                                                       "give either sql, or action and resource",
		"- name: x\n  principal: bot\n  action: raed\n  resource: Connection::\"a\"\n  expect: allow\n":        `unknown action "raed": did you mean read?`,
		"- name: x\n  principal: bot\n  action: read\n  resource: orders\n  expect: allow\n":                   "orders is not a resource",
		"- name: x\n  principal: bot\n  action: read\n  resource: Table::\"shop.orders\"\n  expect: allow\n":   "has 2 parts, a Table has 3: connection.schema.name",
		"- name: x\n  principal: bot\n  action: read\n  resource: Tabel::\"shop.a.orders\"\n  expect: allow\n": "did you mean Table?",
		"- name: x\n  principal: bot\n  sql: x\n  connection: shop\n  expect: allow\n  timeout: 10\n":          `timeout is "10"`,
		"- name: x\n  principal: bot\n  sql: x\n  expect: allow\n":                                             "connection is missing",
		"name: x\n": "a file of cases is a YAML list",
	} {
		if _, err := ParseCases(File{"cases.yaml", text}, known, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestResourcesComeBack(t *testing.T) {
	n := access.Name{Schema: `we"ird.`, Name: "t"}
	for _, r := range []Resource{Connection("a.b"), Schema("shop", "x"), Table("shop", n), Column("shop", n, `c."`, nil), Function("shop", n), Setting("shop", "work_mem"), Setting("shop", "app.key")} {
		back, err := ParseResource(r.String(), "shop", nil)
		if err != nil || back.String() != r.String() || back.entity.UID != r.entity.UID {
			t.Errorf("%s became %s, %v", r, back, err)
		}
	}
	for _, s := range []string{"", "Table", `Table::"`, `Table::""`, `Table::"a"b"`, `Schema::"\"a"`} {
		if r, err := ParseResource(s, "shop", nil); err == nil {
			t.Errorf("%s became %s", s, r)
		}
	}
}

// TestCasesKeepWhatIsKnownOfAPrincipal: a row filter looks at attributes.
func TestCasesKeepWhatIsKnownOfAPrincipal(t *testing.T) {
	who := access.Principal{Name: "ada", Kind: access.Human, Groups: []string{"engineers"}, Attributes: map[string]string{"tenant": "acme"}}
	list, err := ParseCases(File{"cases.yaml", "- {name: a, principal: ada, sql: SELECT 1, expect: allow}\n"}, map[string]access.Principal{"ada": who}, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := list[0].Who().Attribute("tenant"); got != "acme" {
		t.Errorf("the tenant is %q", got)
	}
}
