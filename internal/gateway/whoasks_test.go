package gateway

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/access"
)

func TestRecordsSayHowWhoAsksWasProven(t *testing.T) {
	p := access.Principal{Name: "ana", Groups: []string{"support"}, Actor: "bot", Behind: []string{"router"},
		Proof: access.Proof{Method: access.ByAccessToken, Issuer: "https://id.example", Subject: "8f2c", Expires: time.Unix(1, 0)}}
	rec := new(access.Record)
	whoAsks(rec, p)
	want := &access.Record{Principal: "ana", Groups: p.Groups, Actor: "bot", Behind: p.Behind, Proof: &p.Proof}
	if diff := cmp.Diff(want, rec); diff != "" {
		t.Error(diff)
	}
	whoAsks(rec, access.Principal{})
	if diff := cmp.Diff(new(access.Record), rec); diff != "" {
		t.Errorf("of nobody: %s", diff)
	}
}
