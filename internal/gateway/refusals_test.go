package gateway

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/testidp"
	"sallyport/internal/testidp/forge"
)

func TestRefusedTokensGrowTheRecordByNoMore(t *testing.T) {
	var f refusals
	now := time.Unix(1_800_000_000, 0)
	recorded := func(n int, client func(i int) string) (out int) {
		for i := range n {
			if f.take(client(i), now) {
				out++
			}
		}
		return out
	}
	one := func(i int) string { return fmt.Sprintf("203.0.113.7:%d", i+1) }
	if n := recorded(1000, one); n != refusalsOfOne {
		t.Errorf("%d of one address", n)
	}
	if text := f.due(now.Add(59*time.Second), false); text != "" {
		t.Errorf("too early: %s", text)
	}
	now = now.Add(time.Minute)
	if text := f.due(now, false); text != "995 more tokens were refused since 08:00:00, from 203.0.113.7/32" {
		t.Error(text)
	}
	if text := f.due(now.Add(time.Hour), true); text != "" {
		t.Errorf("told twice: %s", text)
	}
	// Addresses of one network of IPv6 are one.
	if n := recorded(100, func(i int) string { return fmt.Sprintf("[2001:db8::%x]:1", i+1) }); n != refusalsOfOne {
		t.Errorf("%d of one network", n)
	}
	// All addresses together, in memory too.
	if n := recorded(100_000, func(i int) string { return fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255) }); n != refusalsOfAll-refusalsOfOne || len(f.from) > refusalsSources+1 {
		t.Errorf("%d of many, %d told apart", n, len(f.from))
	}
	if text := f.due(now.Add(time.Minute), false); !strings.HasPrefix(text, "100070 more tokens") || !strings.Contains(text, "from addresses that were not told apart") {
		t.Error(text)
	}
	if n := recorded(1, one); n != 1 {
		t.Error("nothing is recorded after a minute of many")
	}
	if text := f.due(now, true); text != "" {
		t.Errorf("of one that is recorded: %s", text)
	}
}

// What is on record of a refused token says which check it failed, and whose it is where its provider has signed it; never the token.
func TestRefusedTokensAreOnRecord(t *testing.T) {
	w, idp, change := previewWorld(t)
	stranger, _ := testidp.NewKey("ES256")
	secret := "sp_" + strings.Repeat("q", 40)
	signed := &access.Proof{Method: access.ByAccessToken, Issuer: idp.Issuer, Subject: "1"}
	for i, c := range []struct {
		token, says string
		proof       *access.Proof
	}{
		{secret, "the access token is not valid", nil},
		{idp.AccessToken("https://elsewhere.example/mcp"), "the access token is not valid (audience)", signed},
		{idp.AccessToken(askedAudience, map[string]any{"exp": 1}), "the access token is not valid (time)", signed},
		{idp.AccessToken(askedAudience, map[string]any{"act": map[string]any{"sub": "intruder"}}), "the access token is not valid (actor)", signed},
		{forge.Mint(idp, idp.AccessClaims(askedAudience), forge.Shape{Key: stranger, Header: map[string]any{"typ": "at+jwt"}}), "the access token is not valid (signature)", nil},
		{idp.AccessToken(askedAudience, map[string]any{"iss": "https://evil.example"}), "the access token is not valid (issuer)", nil},
	} {
		client := fmt.Sprintf("198.51.100.%d:9", i+1)
		if _, err := w.gw.Recognise(context.Background(), Login{Door: access.DoorMCP, Client: client, Credentials: access.Bearer(c.token)}); access.AsError(err).Kind != access.Denied || strings.Contains(access.AsError(err).Message, "(") {
			t.Errorf("%s: %v", c.says, err)
		}
		list := w.kinds(access.RecordRefused)
		r := list[len(list)-1]
		if r.Door != access.DoorMCP || r.Client != client || r.Code != "28000" || r.Error != c.says || r.Principal != "" || (r.Proof == nil) != (c.proof == nil) || r.Proof != nil && (r.Proof.Method != c.proof.Method || r.Proof.Issuer != c.proof.Issuer || r.Proof.Subject != c.proof.Subject || r.Proof.Token != "") {
			t.Errorf("%s: %+v %+v", c.says, r, r.Proof)
		}
		if text := fmt.Sprintf("%+v", r); strings.Contains(text, c.token) || strings.Contains(text, c.token[len(c.token)-20:]) {
			t.Errorf("%s: the token is on record: %s", c.says, text)
		}
	}
	// Many from one are counted, also when the gateway ends before the minute does; who has a token that holds is not held up, nor recorded.
	before := len(w.kinds(access.RecordRefused))
	for range 50 {
		w.gw.Recognise(context.Background(), Login{Door: access.DoorMCP, Client: "192.0.2.1:1", Credentials: access.Bearer(secret)})
	}
	if _, err := w.gw.Recognise(context.Background(), Login{Door: access.DoorMCP, Client: "192.0.2.1:1", Credentials: access.Bearer(idp.AccessToken(askedAudience))}); err != nil {
		t.Error(err)
	}
	w.gw.Close()
	defer w.openHeld(change) // for the world to close
	list := w.kinds(access.RecordRefused)
	if len(list) != before+refusalsOfOne+1 || !strings.HasPrefix(list[len(list)-1].Error, "45 more tokens were refused since ") || !strings.HasSuffix(list[len(list)-1].Error, ", from 192.0.2.1/32") {
		t.Errorf("%d records, the last %+v", len(list)-before, list[len(list)-1])
	}
}

// Nobody has to log in to send logout tokens: forged ones grow the record by no more, and take nothing of what the agents' door has for its own.
func TestForgedLogoutTokensGrowTheRecordByNoMore(t *testing.T) {
	w, idp, change := previewWorld(t)
	before := len(w.kinds(access.RecordRefused))
	client := func(i int) string { return fmt.Sprintf("192.0.2.1:%d", i+1) }
	for i := range 50 {
		if err := w.gw.BackchannelLogout(context.Background(), client(i), "a.b.c"); access.AsError(err).Kind != access.Denied {
			t.Fatal(err)
		}
	}
	list := w.kinds(access.RecordRefused)[before:]
	if len(list) != refusalsOfOne || list[0].Door != access.DoorWeb || list[0].Client != client(0) || !strings.HasPrefix(list[0].Error, "the logout token is not valid") {
		t.Fatalf("%d records: %+v", len(list), list[0])
	}
	if _, err := w.gw.Recognise(context.Background(), Login{Door: access.DoorMCP, Client: client(0), Credentials: access.Bearer("sp_" + strings.Repeat("q", 40))}); err == nil {
		t.Error("recognised")
	}
	if n := len(w.kinds(access.RecordRefused)) - before; n != refusalsOfOne+1 {
		t.Errorf("%d records with one of the agents' door", n)
	}
	if err := w.gw.BackchannelLogout(context.Background(), client(0), idp.LogoutToken()); err != nil {
		t.Errorf("the provider's own, from there: %v", err)
	}
	w.gw.Close()
	defer w.openHeld(change) // for the world to close
	list = w.kinds(access.RecordRefused)[before:]
	last := list[len(list)-1]
	if len(list) != refusalsOfOne+2 || last.Door != access.DoorWeb || !strings.HasPrefix(last.Error, "45 more tokens were refused since ") || !strings.HasSuffix(last.Error, ", from 192.0.2.1/32 (logout tokens)") {
		t.Errorf("%d records, the last %+v", len(list), last)
	}
}
