package mask

import (
	"encoding/json"
	"os"
	"testing"

	"sallyport/internal/testcorpus"
)

// TestDetectorCorpus measures the detectors on presidio-research's synthetic texts (MIT). It fails when
// they find much less than they did, or hide much that is nobody's.
func TestDetectorCorpus(t *testing.T) {
	b, err := os.ReadFile(testcorpus.Path(t, "pii/synth_dev.json"))
	if err != nil {
		t.Fatal(err)
	}
	var docs []struct {
		Text  string `json:"full_text"`
		Spans []struct {
			Type  string `json:"entity_type"`
			Start int    `json:"start_position"` // in characters
			End   int    `json:"end_position"`
		} `json:"spans"`
	}
	if err := json.Unmarshal(b, &docs); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{"EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone", "CREDIT_CARD": "card", "IBAN_CODE": "iban", "US_SSN": "ssn", "IP_ADDRESS": "ip"}
	found, total := map[string]int{}, map[string]int{}
	strangers, findings := 0, 0
	d := NewDetector()
	for _, doc := range docs {
		chars := make([]int, 0, len(doc.Text)+1) // byte offset of each character
		for i := range doc.Text {
			chars = append(chars, i)
		}
		chars = append(chars, len(doc.Text))
		for _, f := range d.Find(nil, []byte(doc.Text)) {
			findings++
			known := false
			for _, s := range doc.Spans {
				known = known || chars[s.Start] < f.End && f.Start < chars[s.End]
			}
			if !known {
				strangers++
				t.Logf("nobody's %s: %q", f.Kind, doc.Text[f.Start:f.End])
			}
		}
		for _, s := range doc.Spans {
			if kinds[s.Type] == "" {
				continue
			}
			total[s.Type]++
			for _, f := range d.Find(nil, []byte(doc.Text)) {
				if f.Start <= chars[s.Start] && chars[s.End] <= f.End {
					found[s.Type]++
					break
				}
			}
		}
	}
	for typ, n := range total {
		t.Logf("%s: %d of %d", typ, found[typ], n)
		if found[typ]*100 < n*90 {
			t.Errorf("only %d of %d %s are found", found[typ], n, typ)
		}
	}
	t.Logf("%d findings, %d nobody's", findings, strangers)
	if strangers*20 > findings {
		t.Errorf("%d of %d findings are nobody's", strangers, findings)
	}
}
