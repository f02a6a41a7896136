package web

import (
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

// playerFiles are what only a page with something to play asks for.
var playerFiles = []string{"asciinema-player", "replay.js", "replay.css", "data-replay-url", "data-seq"}

func hasPlayer(body string) (some, all bool) {
	all = true
	for _, f := range playerFiles {
		is := strings.Contains(body, f)
		some, all = some || is, all && is
	}
	return some, all
}

func TestPlayerIsOnThePageOfASessionAlone(t *testing.T) {
	const strict = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	const plays = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	w := newWorld(t, withArchive)
	r := w.wish("asker", write, nil)
	for _, name := range []string{"asker", "auditor", "operator", "keeper", "stranger"} {
		b := w.login(name)
		for _, path := range []string{"/sessions/s_1", "/sessions/s_1/replay", "/sessions/s_1/evidence", "/sessions/s_2", "/sessions/s_none", "/sessions", "/search", "/reviews", "/reviews/" + r.ID, "/overview", "/live", "/people", "/connections", "/policy", "/record", "/none",
			"/static/asciinema-player.min.js", "/static/replay.js", "/login"} {
			res, body := b.get(path)
			some, all := hasPlayer(body)
			want := strict
			if path == "/sessions/s_1" && (name == "asker" || name == "auditor") {
				want = plays
				if !all || !strings.Contains(body, `data-replay-url="/sessions/s_1/replay"`) || !strings.Contains(body, `data-seq="2" hidden>Show #2 in the replay</button>`) {
					t.Errorf("%s has no player for the session:\n%s", name, body)
				}
			} else if some && !strings.HasPrefix(path, "/static/") {
				t.Errorf("%s at %s is given the player", name, path)
			}
			if got := res.Header.Get("Content-Security-Policy"); got != want {
				t.Errorf("%s at %s: the content policy is %s", name, path, got)
			}
		}
	}
	// Who may not see the page gets no file for the player either, and who sees what they did themselves gets that of it.
	want := map[string]int{"keeper": 404, "asker": 200, "auditor": 200, "operator": 404, "stranger": 404}
	for name, status := range want {
		res, body := w.login(name).get("/sessions/s_1/replay")
		if res.StatusCode != status || (status == 200) != (body == "cast of s_1 for "+strings.TrimPrefix(name, "auditor")) || status == 200 && res.Header.Get("Content-Type") != "application/x-asciicast" {
			t.Errorf("%s: %s %s: %.80s", name, res.Status, res.Header.Get("Content-Type"), body)
		}
	}
	if res, _ := w.browser().get("/sessions/s_1/replay"); res.StatusCode != 303 {
		t.Errorf("who has not logged in: %s", res.Status)
	}
}

func TestPageSaysThatThereIsNothingToPlay(t *testing.T) {
	erased := func(session string, seq uint64) *access.Record {
		return &access.Record{Session: session, Seq: seq, Kind: access.RecordStatement, Erased: true, Time: time.Now()}
	}
	m := append(recorded(),
		&access.Record{Session: "s_gone", Seq: 1, Kind: access.RecordOpen, Erased: true}, erased("s_gone", 2), erased("s_gone", 3),
		&access.Record{Session: "s_part", Seq: 1, Kind: access.RecordOpen, Principal: "asker"}, erased("s_part", 2), &access.Record{Session: "s_part", Seq: 3, Kind: access.RecordStatement, Principal: "asker", SQL: "select 1"},
		&access.Record{Session: "s_idle", Seq: 1, Kind: access.RecordOpen, Principal: "asker"},
		&access.Record{Session: "s_x", Seq: 1, Kind: access.RecordTask, Task: "task_1", Principal: "asker", Goal: "to see"})
	for i, r := range m {
		r.Position = uint64(i + 1)
	}
	w := newWorld(t, func(_ *gateway.Config, o *Options) { o.Archive = m.archive() })
	b := w.login("auditor")
	for path, says := range map[string]string{"s_gone": "what was said in this session has been erased", "s_idle": "nothing was asked in this session", "s_part": "", "s_1": "", "task_1": ""} {
		res, body := b.get("/sessions/" + path)
		if res.StatusCode != 200 {
			t.Fatalf("%s: %s", path, res.Status)
		}
		some, all := hasPlayer(body)
		if plays := path == "s_1" || path == "s_part"; some != plays || all != plays {
			t.Errorf("%s: the page has the player: %t, want %t", path, some, plays)
		}
		if nothing := strings.Contains(body, "There is nothing to play"); nothing != (says != "") || !strings.Contains(body, says) {
			t.Errorf("%s: the page does not say %q", path, says)
		}
	}
	w = newWorld(t, func(_ *gateway.Config, o *Options) { o.Archive = m.archive(); o.Archive.Replay = nil })
	_, body := w.login("auditor").get("/sessions/s_1")
	if some, _ := hasPlayer(body); some || strings.Contains(body, "asciicast") {
		t.Error("the page offers a replay that nobody makes")
	}
}

func TestPlayerIsNoLargerThanItWas(t *testing.T) {
	p, err := loadPages()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(p.assets["asciinema-player.min.js"].data); n < 100<<10 || n > 256<<10 {
		t.Errorf("the player has %d bytes", n)
	}
}
