package replay

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/audit/internal/show"
	"sallyport/audit/internal/trace"
	"sallyport/internal/access"
)

var update = flag.Bool("update", false, "write the golden files anew")

func written(t testing.TB, c *Cast) []byte {
	var out bytes.Buffer
	if err := Write(&out, c); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// sequences are all that a replay may send to a terminal beside text and line ends.
var sequences = regexp.MustCompile(`\x1b\[(0|1|2|35|36|1;3[123])m`)

// screen is what is left of the output on a terminal on which nothing scrolls away.
func screen(c *Cast) string {
	var out strings.Builder
	for _, e := range c.Events {
		if e.Code == Output {
			out.WriteString(e.Data)
		}
	}
	return strings.ReplaceAll(sequences.ReplaceAllString(out.String(), ""), "\r\n", "\n")
}

func TestReplayTellsTheStory(t *testing.T) {
	for name, recs := range map[string][]*access.Record{"psql": psql(t), "mcp": agent(t)} {
		t.Run(name, func(t *testing.T) {
			c := Make(recs, Options{})
			for file, got := range map[string][]byte{"testdata/" + name + Extension: written(t, c), "testdata/" + name + ".txt": []byte(screen(c))} {
				if *update {
					if err := os.WriteFile(file, got, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), string(got)); diff != "" {
					t.Errorf("%s (-want +got; -update writes it anew):\n%s", file, diff)
				}
			}
			for _, l := range strings.Split(screen(c), "\n") {
				if n := show.Width(l); n > c.Header.Term.Cols {
					t.Errorf("%d cells: %q", n, l)
				}
			}
		})
	}
}

func TestTheSameRecordsGiveTheSameBytes(t *testing.T) {
	for name, tell := range map[string]func(testing.TB) []*access.Record{"psql": psql, "mcp": agent} {
		first := written(t, Make(tell(t), Options{}))
		for range 20 {
			if !bytes.Equal(first, written(t, Make(tell(t), Options{}))) {
				t.Fatalf("%s: other bytes", name)
			}
		}
		if !bytes.Contains(first, []byte(`"sallyport":{"renderer":2,`)) {
			t.Errorf("%s: the header does not say what drew it: %.300s", name, first)
		}
	}
}

// TestWaitsAreShortenedAndSaid: the lunch of 47 minutes, and the answer that took 38 seconds.
func TestWaitsAreShortenedAndSaid(t *testing.T) {
	recs := psql(t)
	real := recs[len(recs)-1].Time.Sub(recs[0].Time)
	for _, idle := range []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, time.Hour} {
		c := Make(recs, Options{Idle: idle})
		var before time.Duration
		for _, e := range c.Events {
			if e.At < before || e.At-before > idle {
				t.Errorf("at most %v: %v passes before %.40q", idle, e.At-before, e.Data)
			}
			before = e.At
		}
		text := screen(c)
		said := strings.Contains(text, "47m without anything (shown as "+show.Duration(idle)+")") && strings.Contains(text, "38 s until the answer")
		if said != (idle < time.Minute) {
			t.Errorf("at most %v: the waits are said: %v", idle, said)
		}
		if idle == time.Hour && before != real {
			t.Errorf("nothing is shortened, and it takes %v instead of %v", before, real)
		}
	}
}

// TestEachStepHasAMarker in front of what it shows, named after it.
func TestEachStepHasAMarker(t *testing.T) {
	var got []string
	c := Make(agent(t), Options{})
	for i, e := range c.Events {
		if e.Code != Marker {
			continue
		}
		got = append(got, e.Data)
		if next := c.Events[i+1]; next.Code != Output || next.At != e.At {
			t.Errorf("behind marker %q comes %+v", e.Data, next)
		}
	}
	want := []string{"TASK declared task-7f3a", "#2 ALLOW SELECT read public.customers, read public.orders", "#3 ALLOW UPDATE write public.orders",
		"#2 ALLOW SELECT read public.tickets", "#5 DENY SELECT read hr.salaries"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestTheTaskOfASessionIsNoSessionOfItsOwn: its record comes along where only the session is asked for.
func TestTheTaskOfASessionIsNoSessionOfItsOwn(t *testing.T) {
	all := agent(t)
	all[0].Session, all[0].Seq = "sys_1", 2 // as the gateway has it
	recs := all[:1]
	for _, rec := range all {
		if rec.Connection == "crm" {
			recs = append(recs[:len(recs):len(recs)], rec)
		}
	}
	c := Make(recs, Options{})
	if n := strings.Count(screen(c), "── records: "); n != 1 || !strings.Contains(c.Header.Title, "ana · mcp → crm") {
		t.Errorf("%d sessions end, under the title %q:\n%s", n, c.Header.Title, screen(c))
	}
	if c := Make(all, Options{}); c.Header.Title != "Sallyport: task task-7f3a · 2 sessions" {
		t.Errorf("title of a task: %q", c.Header.Title)
	}
}

// TestMasksOfOlderRecordsGoByName: they do not say which result column went through which mask.
func TestMasksOfOlderRecordsGoByName(t *testing.T) {
	st := &trace.Step{Record: &access.Record{}, End: &access.Record{Columns: []string{"id", "email", "email_sent"}}}
	st.Plan.Masks = []access.MaskApplied{{Column: "public.customers.email", Transform: "redact"}}
	got := columnMasks(st, 3)
	if len(got[0]) != 0 || len(got[1]) != 1 || len(got[2]) != 0 {
		t.Errorf("%v", got)
	}
}

// thousand is a session of a thousand statements with results.
func thousand(t testing.TB) []*access.Record {
	l := newTeller(t)
	for i := range 1000 {
		rec := *agent(t)[2]
		rec.Reason = strings.Repeat("why ", i%40)
		l.add(time.Duration(i%7)*time.Second, "mcp-1", access.RecordStatement, rec)
	}
	return l.recs
}

// cpu is the time that this process has computed: other work on the machine does not count.
func cpu(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkReplay renders and writes a session of 1,000 steps.
func BenchmarkReplay(b *testing.B) {
	recs := thousand(b)
	start, size := cpu(b), 0
	for b.Loop() {
		size = len(written(b, Make(recs, Options{})))
	}
	b.ReportMetric(float64((cpu(b)-start).Microseconds())/1000/float64(b.N), "cpu-ms/op")
	b.ReportMetric(float64(size), "bytes/replay")
}

func TestAThousandStepsAreQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("short tests run under the race detector, which slows them down tenfold")
	}
	recs := thousand(t)
	takes := func(recs []*access.Record) time.Duration {
		start := cpu(t)
		written(t, Make(recs, Options{}))
		return cpu(t) - start
	}
	takes(recs) // what is made once
	all, quarter := takes(recs), takes(recs[:len(recs)/4])
	if all > 500*time.Millisecond && all > 8*quarter || all > 1500*time.Millisecond { // on a slow machine each step takes longer, but no more than that
		t.Errorf("%v, and %v for a quarter of them", all, quarter)
	}
}

// TestWhatWasErasedIsShownAsErased: of some records all is gone but the head, of others what speaks of people.
func TestWhatWasErasedIsShownAsErased(t *testing.T) {
	recs := agent(t)
	for i, rec := range recs {
		switch rec.Connection {
		case "shop": // as a reader gives them without their content
			rec.Erased, rec.Goal, rec.Reason, rec.SQL, rec.Params, rec.Result, rec.Formats, rec.Error, rec.Hint = true, "", "", "", nil, nil, nil, "", ""
		case "crm": // and without keys
			recs[i] = &access.Record{Position: rec.Position, Session: rec.Session, Seq: rec.Seq, Time: rec.Time, Kind: rec.Kind, Intent: rec.Intent, Erased: true}
		}
	}
	c := Make(recs, Options{})
	harmless(t, c)
	text := screen(c)
	for _, want := range []string{"support-agent@shop ▸ (erased", "by support-reads-shop", "DENY    (erased: can no longer be read) 42501", "SELECT 3 · 3 rows", "#2\n(erased", "ERASED  (erased"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(text, "UNKNOWN") || strings.Contains(text, "nothing released") || strings.Contains(text, "not in this view") {
		t.Error("it takes what was erased for something else")
	}
	if t.Failed() {
		t.Log(text)
	}
}
