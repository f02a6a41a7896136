package mask

import (
	"strings"
	"testing"
)

func TestHide(t *testing.T) {
	for _, tc := range []struct{ text, mark, want string }{
		{"ask Åsa today", "Åsa", "ask [person] today"},
		{"Åsa", "Åsa", "[person]"},
		{`{"by": "Åsa B", "n": 4}`, "Åsa", `{"by": "[person] B", "n": 4}`},
		{`{"by": "Åsa B", "n": 4}`, `"Åsa B"`, `{"by": "[person]", "n": 4}`},
		{`{"by": "Åsa B", "n": 4}`, `4`, `{"by": "Åsa B", "n": "[person]"}`},
		{`{"by": "Åsa B", "n": 4}`, `B", "n`, `"[redacted]"`},
		{`{"by": "Åsa B", "n": 4}`, `Åsa B", `, `"[redacted]"`},
		{`{"by": "Åsa B", "n": 4}`, `{"by`, `"[redacted]"`},
		{`<p by="Åsa">x</p>`, "Åsa", `<p by="[person]">x</p>`},
		{`<p by="Åsa">x</p>`, `Åsa">`, "<redacted/>"},
	} {
		at := strings.Index(tc.text, tc.mark)
		got := string(Hide([]byte("before "), []byte(tc.text), []Finding{{at, at + len(tc.mark), "person"}}))
		if got != "before "+tc.want {
			t.Errorf("%s without %s is %s, want %s", tc.text, tc.mark, got, tc.want)
		}
	}
	if got := string(Hide(nil, []byte("A and B"), []Finding{{0, 1, "x"}, {6, 7, "y"}})); got != "[x] and [y]" {
		t.Errorf("two findings: %s", got)
	}
	if got := string(Hide(nil, []byte("A and B"), nil)); got != "A and B" {
		t.Errorf("no finding: %s", got)
	}
}
