package mask

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// TestTokenIsHMAC compares the SQL of a token with crypto/hmac.
func TestTokenIsHMAC(t *testing.T) {
	conn := connect(t)
	sum := func(s string) string {
		h := hmac.New(sha256.New, []byte(testKey))
		h.Write([]byte(s))
		return hex.EncodeToString(h.Sum(nil))
	}
	for _, v := range []string{"", "alice@example.org", `back\slash \x41 \101`, "ünï 😀", strings.Repeat("x", 1000)} {
		expr := deparsed(t, Transform{Kind: Token}, shape{family: textFamily, oid: oidText, typ: domain{name: "text"}})
		var got string
		if err := conn.QueryRow(context.Background(), "SELECT "+expr+" FROM (SELECT $1::text AS c) q", v).Scan(&got); err != nil {
			t.Fatal(err)
		}
		want := []byte("tok_" + sum(v)[:24])
		for i := 4; i < len(want); i++ {
			want[i] = tokenLetters[strings.IndexByte(hexDigits, want[i])]
		}
		if got != string(want) {
			t.Errorf("token of %.20q is %s, want %s", v, got, want)
		}
	}
}

// tokenShapes are the types that have tokens, with the form that token.go promises.
var tokenShapes = []struct {
	shape shape
	form  string
}{
	{shape{family: textFamily, oid: oidText, typ: domain{name: "text"}}, `^tok_[ghjklmnpqrtvwxyz]{24}$`},
	{shape{family: textFamily, oid: oidVarchar, typ: domain{name: "character varying(16)"}, width: 16}, `^tok_[ghjklmnpqrtvwxyz]{12}$`},
	{shape{family: intFamily, oid: oidInt4, typ: domain{name: "integer"}}, `^[1-9][0-9]{8}$`},
	{shape{family: intFamily, oid: oidInt8, typ: domain{name: "bigint"}}, `^[89][0-9]{18}$`},
	{shape{family: uuidFamily, oid: oidUUID, typ: domain{name: "uuid"}}, `^f[0-9a-f]{7}-f[0-9a-f]{3}-8[0-9a-f]{3}-a[0-9a-f]{3}-f0[0-9a-f]{10}$`},
}

// TestTokensAreNoFindings puts many tokens into the company that they keep in results. A detector may hide
// them (a number beside the word "phone") only if it hides every one.
func TestTokensAreNoFindings(t *testing.T) {
	conn := connect(t)
	n := 30000
	if testing.Short() {
		n = 3000
	}
	around := []string{"%s", `{"card": %s, "x": 1}`, `{"credit card no": "%s"}`, `(1,"%s",,2024-01-02)`, "{%[1]s,%[1]s}", "4,%s,r2,2024-05-06 10:00:00", "x%sx", "%s1", "id-%s", "%s %[1]s", "%s-%[1]s",
		"%s@%[1]s", "SG.%s", "%s::%[1]s", "note 12 %s 34", "phone %s", "+%s", "iban DE%s", "%s 555 123 4567", "sms%s 1234567", `{"phone": %s}`}
	for _, ts := range tokenShapes {
		t.Run(ts.shape.typ.name, func(t *testing.T) {
			expr := deparsed(t, Transform{Kind: Token}, ts.shape)
			rows, err := conn.Query(context.Background(), "SELECT ("+expr+")::text FROM (SELECT CASE WHEN g % 2 = 0 THEN md5(g::text) ELSE g::text END AS c FROM generate_series(1, $1) g) q", n)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			form, d, seen := regexp.MustCompile(ts.form), NewDetector(), map[string]bool{}
			first := make([]string, len(around))
			for rows.Next() {
				var tok string
				if err := rows.Scan(&tok); err != nil {
					t.Fatal(err)
				}
				if !form.MatchString(tok) {
					t.Fatalf("%s is not of the form %s", tok, ts.form)
				}
				if seen[tok] && ts.shape.oid != oidInt4 {
					t.Fatalf("two values have the token %s", tok)
				}
				seen[tok] = true
				for i, f := range around {
					got := strings.ReplaceAll(d.String(fmt.Sprintf(f, tok)), tok, "TOKEN")
					if len(seen) == 1 {
						first[i] = got
					}
					// Behind a plus a number is hidden where it can be a telephone number, which the token alone decides.
					if got != first[i] && !(f == "+%s" && ts.shape.family == intFamily) {
						t.Fatalf("%s became %s, others %s", fmt.Sprintf(f, tok), got, first[i])
					}
				}
			}
			if rows.Err() != nil {
				t.Fatal(rows.Err())
			}
			if len(seen) < n-n/1000 {
				t.Errorf("%d values have %d tokens", n, len(seen))
			}
			for i, f := range around[:11] {
				if want := strings.ReplaceAll(fmt.Sprintf(f, "\x00"), "\x00", "TOKEN"); first[i] != want {
					t.Errorf("%q is hidden in %q: %s", ts.shape.typ.name, f, first[i])
				}
			}
		})
	}
}

// TestTokenFormsHideNothing dresses personal data up as tokens: there is no form that a detector spares.
func TestTokenFormsHideNothing(t *testing.T) {
	d := NewDetector()
	for _, text := range []string{
		"tok_ghjklmnpqrtv jane@example.com", "tok_jane@example.com", `{"tok_ghjklmnpqrtvwxyzghjklmn": "+14155552671"}`, "tok_: 4111111111111111", "tok_ +14155552671",
		"tok_ghjklmnpqrtvwxyzghjklmn-+14155552671", "8 4111111111111111", "card 4111111111111111", "f0000000-+14155552671",
	} {
		if out, n := d.Redact(nil, []byte(text)); n == 0 {
			t.Errorf("%q stays %q", text, out)
		}
	}
	if doc := `{"card": 6304219447607087665}`; !json.Valid([]byte(d.String(doc))) || d.String(doc) == doc {
		t.Errorf("a card of 19 digits stays: %s", d.String(doc))
	}
}
