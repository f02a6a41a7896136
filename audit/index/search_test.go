package index

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
)

func TestASearchFindsWhatReadingTheLogFinds(t *testing.T) {
	l := newLog(t)
	for range 6 {
		l.fill(1 + l.rng.IntN(400))
		if r := l.update(); r.Through != l.log.Last() {
			t.Fatalf("the index is up to %d of %d", r.Through, l.log.Last())
		}
		l.agrees(60)
	}
}

// The same over more than one chunk of positions, of which no log has so many here.
func TestASearchCrossesChunks(t *testing.T) {
	if testing.Short() {
		t.Skip("300,000 records")
	}
	x := Detached(t.TempDir())
	rng := rand.New(rand.NewPCG(3, 4))
	all := make([]*access.Record, chunkSize+40_000)
	for i := range all {
		all[i] = anyRecord(rng, i)
		all[i].Position = uint64(i + 1)
	}
	if err := x.Feed(context.Background(), slices.Values(all)); err != nil {
		t.Fatal(err)
	}
	found := 0
	for i := range 16 {
		q := anyQuery(rng, len(all))
		q.Limit, q.Words, q.Person = most, nil, nil // of words there are candidates that do not match
		if i%2 == 0 {
			q.Before = chunkSize + 2000 - rng.Uint64N(4000)
		}
		got, err := x.Candidates(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		if want := naive(all, q); !slices.Equal(got, want) {
			t.Fatalf("%+v\nfinds %d, want %d\n%v\n%v", q, len(got), len(want), head(got), head(want))
		}
		found += len(got)
	}
	if found < 300 {
		t.Errorf("%d were found", found)
	}
	if err := x.Check(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestPagesStayWhatTheyAreWhileTheLogGrows(t *testing.T) {
	l := newLog(t)
	l.fill(300)
	l.update()
	q := Query{Fields: []Value{{Principal, "ada"}}, Limit: 7}
	want := naive(l.all(), q)
	var got []uint64
	for {
		page, err := l.index.Search(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range page.Records {
			got = append(got, rec.Position)
		}
		if page.Next == 0 {
			break
		}
		q.Before = page.Next
		l.fill(20)
		l.update()
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A statement may have more words than the index keeps; it is found by each of them all the same.
func TestPaddingHidesNothing(t *testing.T) {
	l := newLog(t)
	var pad strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&pad, "pad%d, ", i)
	}
	l.fill(50)
	l.add(&access.Record{SQL: "SELECT " + pad.String() + "needle FROM orders"}, &access.Record{SQL: strings.Repeat("x ", 100_000) + "needle"},
		&access.Record{Params: []string{pad.String(), "jane@example.org"}})
	l.fill(50)
	l.update()
	if got := l.pages(Query{Words: []string{"Needle"}, Limit: 10}); !slices.Equal(got, []uint64{52, 51}) {
		t.Errorf("found %v", got)
	}
	if got := l.pages(Query{Person: []string{"jane@example.org"}, Limit: 10}); !slices.Equal(got, []uint64{53}) {
		t.Errorf("found %v", got)
	}
	// Each word of the others costs a candidate.
	cands, err := l.index.Candidates(context.Background(), Query{Words: []string{"nowhere"}})
	if err != nil || !slices.Equal(cands, []uint64{52, 51}) {
		t.Errorf("candidates %v, %v", cands, err)
	}
}

func TestASearchThatReadsTooMuchStopsAndGoesOn(t *testing.T) {
	l := newLog(t)
	var recs []*access.Record
	for range readMost + 300 {
		recs = append(recs, &access.Record{SQL: "beta alpha"})
	}
	recs[10].SQL = "alpha beta"
	l.add(recs...)
	l.update()
	q := Query{Words: []string{"alpha beta"}, Limit: 5}
	page, err := l.index.Search(context.Background(), q)
	if err != nil || !page.Stopped || len(page.Records) != 0 || page.Next == 0 {
		t.Fatalf("%+v, %v", page, err)
	}
	if got := l.pages(q); !slices.Equal(got, []uint64{11}) {
		t.Errorf("found %v", got)
	}
}

func TestFields(t *testing.T) {
	l := newLog(t)
	l.add(&access.Record{Principal: "ada", Actor: "helper", Behind: []string{"router"}, Proof: &access.Proof{Issuer: "https://id.example", Subject: "0f2c77"}, Task: "task_1", Session: "s_9", Connection: "shop", Door: access.DoorMCP, Kind: access.RecordRefused,
		Goal: "Clean up", Ticket: "SUP-17", Client: "10.0.0.7 psql", Error: "no such user: Eve", Hint: "ask Frank",
		Plan:    []byte(`{"effect":"deny","fingerprint":"abc","relations":["public.orders"],"labels":["pii.phone"],"masks":[{"column":"public.c.email","label":"pii.email","transform":"redact"}],"shown":[{"column":"public.c.iban","labels":["pii.iban"]}]}`),
		Columns: []string{"who"}, Result: []byte("D\x00\x00\x00\x13\x00\x01\x00\x00\x00\x09Mia Meier")})
	l.add(&access.Record{Kind: access.RecordHeartbeat, Session: "", Open: []access.OpenSession{{Session: "s_9", Seq: 1}}})
	l.update()
	for _, v := range []Value{{Principal, "ada"}, {Actor, "helper"}, {Actor, "router"}, {Issuer, "https://id.example"}, {Task, "task_1"}, {Session, "s_9"}, {Connection, "shop"}, {Door, "mcp"}, {Kind, "refused"},
		{Relation, "public.orders"}, {Relation, "orders"}, {Column, "public.c.email"}, {Column, "c.email"}, {Column, "email"}, {Column, "iban"},
		{Label, "pii.phone"}, {Label, "pii.email"}, {Label, "pii.iban"}, {Decision, "deny"}, {Fingerprint, "abc"}} {
		if got := l.pages(Query{Fields: []Value{v}, Limit: 5}); !slices.Equal(got, []uint64{1}) {
			t.Errorf("%+v finds %v", v, got)
		}
		v.Value += "x"
		if got := l.pages(Query{Fields: []Value{v}, Limit: 5}); len(got) != 0 {
			t.Errorf("%+v finds %v", v, got)
		}
	}
	for _, person := range []string{"mia", "Mia Meier", "EVE", "frank", "10.0.0.7", "0f2c77", "SUP-17"} {
		if got := l.pages(Query{Person: []string{person}, Limit: 5}); !slices.Equal(got, []uint64{1}) {
			t.Errorf("%s is found in %v", person, got)
		}
	}
	if got := l.pages(Query{Words: []string{"mia"}, Limit: 5}); len(got) != 0 {
		t.Errorf("a released row is found by its words: %v", got)
	}
	// The log's own records are shown to those who ask for them.
	if got := l.pages(Query{Limit: 5}); !slices.Equal(got, []uint64{1}) {
		t.Errorf("everything is %v", got)
	}
	if got := l.pages(Query{Fields: []Value{{Kind, "heartbeat"}}, Limit: 5}); !slices.Equal(got, []uint64{2}) {
		t.Errorf("heartbeats are %v", got)
	}
}

// A gateway keeps the index up to date while others search and update it too.
func TestManyMayUseOneIndex(t *testing.T) {
	l := newLog(t)
	l.fill(100)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		New(l.dir, l.index.dir, nil).Run(ctx)
	}()
	defer func() { cancel(); <-ended }()
	for range 30 {
		l.fill(30)
		if l.rng.IntN(2) == 0 {
			l.update()
			l.agrees(5)
		}
		time.Sleep(5 * time.Millisecond)
	}
	// Alone, the one in the background gets there too.
	l.fill(500)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		page, err := l.index.Search(ctx, Query{})
		if err != nil {
			t.Fatal(err)
		}
		if page.Through == l.log.Last() {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it is up to %d of %d", page.Through, l.log.Last())
		}
	}
	l.agrees(20)
}

// Who was taken out of a record's texts is found by the tag that was left, until their key is destroyed.
func TestPeopleAreFoundByWhatWasTakenOut(t *testing.T) {
	l := newLog(t)
	l.fill(100)
	jane, bob := access.Identifier{Kind: "email", Value: "jane@canary.example"}, access.Identifier{Kind: "email", Value: "bob@canary.example"}
	both := &access.Record{Session: "s_p", Principal: "ada", SQL: "SELECT 1 WHERE mail IN ('[email]', '[email]')", Named: []access.Identifier{jane, bob}}
	said := &access.Record{Session: "s_p", Principal: "ada", Params: []string{"jane@canary.example"}}
	l.add(both, said)
	l.fill(100)
	l.update()
	want := func(person string, positions ...uint64) {
		t.Helper()
		if got := l.pages(Query{Person: []string{person}, Limit: 10}); !slices.Equal(got, positions) {
			t.Errorf("by %s %d are found, want %d", person, got, positions)
		}
	}
	want("Jane@canary.example", said.Position, both.Position)
	want("bob@canary.example", both.Position)
	if got := l.pages(Query{Person: []string{"jane@canary.example", "bob@canary.example"}, Words: []string{"mail"}, Limit: 10}); !slices.Equal(got, []uint64{both.Position}) {
		t.Errorf("both are found in %d", got)
	}
	l.erase(audit.Erasure{Person: "jane@canary.example"})
	l.update()
	want("jane@canary.example")
	want("bob@canary.example", both.Position)
	l.agrees(20)
}
