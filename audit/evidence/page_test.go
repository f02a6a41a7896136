package evidence

import (
	"bytes"
	"encoding/xml"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"sallyport/audit/internal/show"
	"sallyport/internal/access"
)

// hostile is text that attacks terminals, pages and their readers.
const hostile = "a\x1b]0;x\x07b\u009b31mc\u202ed\u2066e\u200bf\r\x7f\x00g\xff\xc3h\u00adi\U000e0041j\u2028k\u3164l\xef\xbb\xbfm" +
	"</td></table><script>alert(1)</script><img src=x onerror=alert(2)>\"' onmouseover='alert(3)' <!-- ]]> {{.}} & &amp; </style><svg/onload=alert(4)> javascript:alert(5)"

// everyField puts s into every text of a record.
func everyField(t testing.TB, s string) []*access.Record {
	p := planOf(t, access.PlanRecord{Class: access.Class(s), Tag: s, Fingerprint: s, Relations: []string{s, "read " + s}, Labels: []access.Label{access.Label(s)},
		Masks: []access.MaskApplied{{Column: s, Label: access.Label(s), Transform: s}}, Shown: []access.ColumnShown{{Column: s, Labels: []access.Label{access.Label(s)}}},
		Effect: "allow", Policies: []string{s}, PolicyVersion: s, CatalogVersion: s, Obligations: &access.Obligations{Review: []string{s}, Where: []string{s}, GroupBy: []string{s}, MinGroup: 5}})
	var out []*access.Record
	for i, kind := range []access.RecordKind{access.RecordTask, access.RecordOpen, access.RecordIntent, access.RecordStatement, access.RecordRefused, access.RecordOutcome, access.RecordRelease, access.RecordClose, access.RecordKind(s)} {
		out = append(out, &access.Record{Position: uint64(i + 1), Session: s, Seq: uint64(i + 1), Kind: kind, Door: access.Door(s), Connection: s, Principal: s, Actor: s, Behind: []string{s}, Proof: hostileProof(s), Groups: []string{s},
			Client: s, Task: s, Goal: s, Ticket: s, Reason: s, SQL: s, Params: []string{s}, Plan: p, Columns: []string{s}, Result: row(s, s), Digest: s, Command: s, Code: s, Error: s, Hint: s})
	}
	return out
}

// hostileProof puts s into every text of a proof.
func hostileProof(s string) *access.Proof {
	return &access.Proof{Method: access.Method(s), Issuer: s, Subject: s, Client: s, Session: s, Token: s, Credential: s, ACR: s, AMR: []string{s}, Scopes: []string{s}, Expires: time.Date(2026, 11, 23, 14, 2, 11, 0, time.UTC)}
}

func TestHostileTextIsHarmless(t *testing.T) {
	in := input(t, everyField(t, hostile))
	in.Scope = Scope{Session: hostile}
	in.Generator = hostile
	in.Policy = Texts{Version: strings.ToValidUTF8(hostile, "\ufffd"), Files: []File{{hostile, []byte(hostile)}}, Purposes: map[string]string{strings.ToValidUTF8(hostile, "\ufffd"): "p"}}
	in.Purposes = []access.Purpose{{ID: "p", Text: hostile, LawfulBasis: "consent"}}
	files := bundle(t, in)
	for _, name := range []string{"trace.json", "trace.html", "VERIFY.md"} {
		for _, line := range strings.Split(string(files[name]), "\n") {
			for _, r := range line {
				if !unicode.IsPrint(r) || r == '\u3164' {
					t.Fatalf("%s: %U in %.200q", name, r, line)
				}
			}
		}
	}
	p := parse(t, files["trace.html"])
	for _, want := range []string{"alert(1)", "{{.}}", `\x1b]0;x`} {
		if !strings.Contains(p.text, want) {
			t.Errorf("the page does not show %s", want)
		}
	}
}

func TestHugeValuesStayReadable(t *testing.T) {
	recs := day(t, 1)
	recs[2].SQL = "SELECT '" + strings.Repeat("x\u202e", 400_000) + "'"
	recs[2].Reason = strings.Repeat("y", 3<<20)
	for range 2000 {
		recs[2].Params = append(recs[2].Params, strings.Repeat("z", 4096))
	}
	files := bundle(t, input(t, recs))
	if d := decode(t, files); d.Sessions[1].Steps[0].SQL != recs[2].SQL {
		t.Error("trace.json does not have all of the statement")
	}
	if n := len(files["trace.html"]); n > 2<<20 {
		t.Errorf("the page has %d bytes", n)
	}
	parse(t, files["trace.html"])
}

// parsed is what a page consists of.
type parsed struct {
	text     string
	elements map[string]int
}

// parse reads the page as XML, which takes no malformed markup, and checks what makes a page usable without script,
// sight or colours.
func parse(t testing.TB, page []byte) parsed {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(page))
	d.Entity = xml.HTMLEntity
	out := parsed{elements: map[string]int{}}
	var text strings.Builder
	level := 0
	ids, refs := map[string]bool{}, []string{}
	var path []string
	for {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			name := tok.Name.Local
			out.elements[name]++
			path = append(path, name)
			attr := map[string]string{}
			for _, a := range tok.Attr {
				attr[a.Name.Local] = a.Value
				if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "src" || a.Name.Local == "style" {
					t.Errorf("<%s> has %s=%q", name, a.Name.Local, a.Value)
				}
			}
			if id, ok := attr["id"]; ok {
				if ids[id] {
					t.Errorf("two elements have the id %s", id)
				}
				ids[id] = true
			}
			if by, ok := attr["aria-labelledby"]; ok {
				refs = append(refs, by)
			}
			switch name {
			case "script", "iframe", "object", "embed", "img", "svg", "link", "form", "base", "video", "audio":
				t.Errorf("there is a <%s>", name)
			case "a":
				if !strings.HasPrefix(attr["href"], "#") {
					t.Errorf("a link leads to %q", attr["href"])
				}
				refs = append(refs, strings.TrimPrefix(attr["href"], "#"))
			case "th":
				if attr["scope"] != "row" && attr["scope"] != "col" {
					t.Error("a header of a table without scope")
				}
			case "html":
				if attr["lang"] == "" {
					t.Error("the page has no language")
				}
			case "h1", "h2", "h3", "h4":
				n := int(name[1] - '0')
				if n > level+1 {
					t.Errorf("a heading of level %d after one of level %d", n, level)
				}
				level = n
			}
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			if len(path) > 0 && path[len(path)-1] != "style" {
				text.Write(tok)
			}
		}
	}
	for _, r := range refs {
		if !ids[r] {
			t.Errorf("nothing has the id %s", r)
		}
	}
	if out.elements["table"] != out.elements["caption"] || out.elements["h1"] != 1 || out.elements["title"] != 1 || out.elements["main"] != 1 {
		t.Errorf("elements %v", out.elements)
	}
	out.text = text.String()
	return out
}

func TestPageReadsWithoutScriptSightOrColour(t *testing.T) {
	files := bundle(t, input(t, day(t, 5)))
	p := parse(t, files["trace.html"])
	for _, want := range []string{"support-agent", "customer asks where order 1042 is", "SELECT c.id, c.name, c.email", "pii.email: public.customers.email, masked (token)", "pii.name: public.customers.name, as it is",
		"refused", "allowed, failed", "no-payroll", "at most 200 rows", "What is not proven", "answering customers", "OPS-231"} {
		if !strings.Contains(p.text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if !strings.Contains(string(files["trace.html"]), "default-src 'none'") {
		t.Error("the page may load things")
	}
}

// TestContrast: every colour of text on both backgrounds of its theme, WCAG 2.2, level AAA (7:1).
func TestContrast(t *testing.T) {
	colour := regexp.MustCompile(`--(\w+): #([0-9a-f]{6});`)
	blocks := regexp.MustCompile(`:root \{[^}]*\}`).FindAllString(show.PageStyle, -1)
	if len(blocks) != 3 {
		t.Fatalf("%d themes", len(blocks))
	}
	for i, block := range blocks {
		c := map[string]float64{}
		for _, m := range colour.FindAllStringSubmatch(block, -1) {
			c[m[1]] = luminance(m[2])
		}
		for _, fore := range []string{"text", "quiet", "link", "good", "bad", "warn"} {
			for _, back := range []string{"page", "box"} {
				a, b := max(c[fore], c[back]), min(c[fore], c[back])
				if ratio := (a + 0.05) / (b + 0.05); ratio < 7 {
					t.Errorf("theme %d: %s on %s has %.2f:1", i, fore, back, ratio)
				}
			}
		}
	}
}

func luminance(hex string) float64 {
	var l float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		v, _ := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		s := float64(v) / 255
		if s <= 0.04045 {
			s /= 12.92
		} else {
			s = math.Pow((s+0.055)/1.055, 2.4)
		}
		l += weight * s
	}
	return l
}
