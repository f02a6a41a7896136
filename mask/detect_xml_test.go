package mask

import "testing"

func TestDetectorKeepsXMLWellFormed(t *testing.T) {
	d := NewDetector()
	for text, want := range map[string]string{
		`<p mail="a@b.example">call +14155552671</p>`: `<p mail="[email]">call [phone]</p>`,
		`<a.536-90-4399/>`:                            `<redacted/>`,
		`<a>a@b.example]&gt;</a>`:                     `<a>[email]]&gt;</a>`,
		`<a>a@b.example]></a>`:                        `<redacted/>`,
		`<a>call &#128512;</a>`:                       `<redacted/>`,
		`<a><![CDATA[a@b.example]]></a><b/>`:          `<a><![CDATA[[email]]]></a><b/>`,
		`<a>a@b.example]>`:                            `<a>[email]]>`, // no XML
	} {
		if got := d.String(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
		if out, _ := d.Redact([]byte("x"), []byte(text)); string(out) != "x"+want {
			t.Errorf("after other bytes %q became %q", text, out)
		}
	}
}
