package gateway

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/access"
)

// TestClassifyIsBounded: a large table costs no more than a small one, and a value that is in its last row alone is found.
func TestClassifyIsBounded(t *testing.T) {
	w, _ := judgedWorld(t, false, judgement("id", "", true))
	w.exec(`create table large(c1 text, c2 text, c3 int, c4 text);
		insert into large select 'u' || g || '@example.com', null, g, repeat('x', 5000) from generate_series(1, 150000) g;
		update large set c2 = 'ada@example.com' where c3 = 150000;
		create table empty(c1 text); create table huge_value(c1 text); insert into huge_value values (repeat('lorem ipsum ', 1000000) || ' ada@example.com');
		analyze large`)
	var seen []string
	began := time.Now()
	found, err := w.gw.Classify(context.Background(), "shop", ClassifyOptions{Rows: 100, Progress: func(done, total int, table access.Name) {
		seen = append(seen, fmt.Sprint(done, "/", total, " ", table.Name))
	}})
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	for column, want := range map[string]string{
		"large.c1":      "pii.email: 100 of 100 values are email addresses; 100 values in 100 sampled rows",
		"large.c2":      "pii.email: 1 of 1 values are email addresses; 1 values in 100 sampled rows",
		"large.c3":      ": nothing else speaks for personal data; 100 values in 100 sampled rows",
		"empty.c1":      ": nothing else speaks for personal data; there is no row yet",
		"huge_value.c1": ": nothing else speaks for personal data; 1 values in 1 sampled rows",
	} {
		if got := proposal(found, column); got != want {
			t.Errorf("%s: %q, want %q", column, got, want)
		}
	}
	if last := seen[len(seen)-1]; len(seen) != found.Tables+1 || last != fmt.Sprint(found.Tables, "/", found.Tables, " ") {
		t.Errorf("progress %q of %d tables", seen, found.Tables)
	}
}

func proposal(c *Classification, column string) string {
	for _, p := range c.Proposals {
		if p.Column.Relation.Name+"."+p.Column.Column == column {
			return p.Label + ": " + p.Why
		}
	}
	return "not there"
}

// TestClassifyCallsNobodysCode: a cast of the database's users would run with the gateway's role.
func TestClassifyCallsNobodysCode(t *testing.T) {
	w, _ := judgedWorld(t, false)
	w.exec(`create function trap(mood) returns text language plpgsql as 'begin raise exception ''sprung''; end';
		create cast (mood as text) with function trap(mood);
		create function trap(point2) returns text language plpgsql as 'begin raise exception ''sprung''; end';
		create cast (point2 as text) with function trap(point2) as implicit;
		create domain moody as mood;
		create function public.left(text, int) returns text language plpgsql as 'begin raise exception ''sprung''; end';
		create table bait(m mood, p point2, ms mood[], d moody, email text);
		insert into bait values ('good', (1, 2), '{bad}', 'bad', 'ada@example.com')`)
	found, err := w.gw.Classify(context.Background(), "shop", ClassifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Skipped) > 0 {
		t.Errorf("skipped: %v", found.Skipped)
	}
	if got := proposal(found, "bait.email"); !strings.HasPrefix(got, "pii.email: 1 of 1 values") {
		t.Error(got)
	}
	if got := proposal(found, "bait.m"); !strings.Contains(got, "values not read: its type") {
		t.Error(got)
	}
}

// TestClassifySkipsWhatIsLocked, says so, and goes by the name.
func TestClassifySkipsWhatIsLocked(t *testing.T) {
	w, _ := judgedWorld(t, false)
	w.exec("create table alone(email text, city text)") // no view on it, which would keep the catalog from being read
	conn, err := pgx.Connect(context.Background(), w.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), "begin; lock table alone"); err != nil {
		t.Fatal(err)
	}
	found, err := w.gw.Classify(context.Background(), "shop", ClassifyOptions{Known: map[access.ColumnID]bool{{Relation: access.Name{Schema: "public", Name: "alone"}, Column: "city"}: true}})
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Skipped) != 1 || found.Skipped[0].Table.Name != "alone" || found.Skipped[0].Why != "it is locked" {
		t.Errorf("skipped %v", found.Skipped)
	}
	if got := proposal(found, "alone.email"); got != `pii.email: the name says so ("email"); values not read: it is locked` {
		t.Error(got)
	}
	if got := proposal(found, "alone.city"); got != "not there" {
		t.Errorf("a column that needs no proposal has one: %s", got)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := w.gw.Classify(cancelled, "shop", ClassifyOptions{}); err == nil {
		t.Error("it does not stop when told")
	}
	if _, err := w.gw.Classify(context.Background(), "shpo", ClassifyOptions{}); err == nil {
		t.Error("an unknown connection is taken")
	}
}
