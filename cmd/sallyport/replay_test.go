package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/audit"
	"sallyport/audit/replay"
	"sallyport/internal/access"
)

func TestReplayFindsSessionsAndTasks(t *testing.T) {
	dir := t.TempDir()
	log, err := audit.Open(filepath.Join(dir, "log"), audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range []struct {
		session, task, sql string
		kind               access.RecordKind
	}{
		{"s_8c1e00", "task_5f2c00", "select 1", access.RecordRefused},
		{"s_8c1eff", "task_5f2c00", "select 2", access.RecordRefused},
		{"s_77", "task_9900", "select 3", access.RecordRefused},
		{"s_99", "", "", access.RecordOpen},
	} {
		rec := &access.Record{Time: time.Unix(int64(i), 0), Session: r.session, Task: r.task, Principal: "ada", Kind: r.kind, SQL: r.sql}
		if _, err := log.Append(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "x.cast")
	for _, tc := range []struct {
		name string
		args []string
		code int
		want []string // in the answer or the file
	}{
		{"session", []string{"s_8c1ef", "--out", "-"}, exitOK, []string{`{"version":3,`, "select 2"}},
		{"task", []string{"task_5f", "--out", file}, exitOK, []string{`{"version":3,`, "select 1", "select 2", file + ": 2 steps"}},
		{"newest_that_asked", []string{"--out", "-"}, exitOK, []string{"select 3"}},
		{"several", []string{"s_8c1e", "--out", "-"}, exitUsage, []string{"s_8c1e00", "s_8c1eff"}},
		{"none", []string{"s_nope", "--out", "-"}, exitFailed, []string{"no id", "s_nope"}},
		{"no_terminal", []string{"s_77"}, exitUsage, []string{"--out FILE.cast"}},
		{"speed", []string{"s_77", "--speed", "0"}, exitUsage, []string{"--speed"}},
		{"idle", []string{"s_77", "--idle", "-1s"}, exitUsage, []string{"--idle"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out, errw strings.Builder
			code := run(append([]string{"replay", "--data", dir}, tc.args...), strings.NewReader(""), &out, &errw)
			written, _ := os.ReadFile(file)
			text := out.String() + errw.String() + string(written)
			if code != tc.code {
				t.Errorf("exit code %d, want %d: %s", code, tc.code, text)
			}
			for _, want := range tc.want {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in %s", want, text)
				}
			}
			if n := strings.Count(out.String()+string(written), "select "); tc.code == exitOK && n != strings.Count(strings.Join(tc.want, " "), "select ") {
				t.Errorf("%d statements:\n%s", n, text)
			}
			if info, err := os.Stat(file); err == nil {
				if info.Mode().Perm() != 0o600 {
					t.Errorf("others may read it: %v", info.Mode())
				}
				os.Remove(file)
			}
		})
	}
}

// TestPlayerTakesKeys plays four steps, a second apart.
func TestPlayerTakesKeys(t *testing.T) {
	c := &replay.Cast{}
	for i, s := range []string{"a", "b", "c", "d"} {
		at := time.Duration(i+1) * time.Second
		c.Events = append(c.Events, replay.Event{At: at, Code: replay.Marker}, replay.Event{At: at, Code: replay.Output, Data: s})
	}
	type press struct {
		at  time.Duration
		key byte
	}
	for name, tc := range map[string]struct {
		speed float64
		keys  []press
		want  string
		took  time.Duration
	}{
		"plays_in_its_time":      {1, nil, "abcd", 4 * time.Second},
		"four_times_as_fast":     {4, nil, "abcd", time.Second},
		"quits":                  {1, []press{{2500 * time.Millisecond, 'q'}}, "ab", 2500 * time.Millisecond},
		"interrupts":             {1, []press{{2500 * time.Millisecond, 3}}, "ab", 2500 * time.Millisecond},
		"pauses_and_goes_on":     {1, []press{{1500 * time.Millisecond, ' '}, {11500 * time.Millisecond, ' '}}, "abcd", 14 * time.Second},
		"quits_while_paused":     {1, []press{{1500 * time.Millisecond, ' '}, {time.Hour, 'q'}}, "a", time.Hour},
		"steps":                  {1, []press{{500 * time.Millisecond, '.'}, {time.Minute, '.'}, {2 * time.Minute, '.'}, {3 * time.Minute, 'q'}}, "abc", 3 * time.Minute},
		"other_keys_do_nothing":  {1, []press{{300 * time.Millisecond, 'x'}, {1700 * time.Millisecond, 'y'}}, "abcd", 4 * time.Second},
		"nobody_is_there_to_ask": {1, []press{{1500 * time.Millisecond, ' '}, {2 * time.Second, 0}}, "abcd", 4500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				ctx, stop := context.WithCancel(t.Context())
				keys := make(chan byte)
				go func() {
					for _, k := range tc.keys {
						time.Sleep(k.at - time.Since(start))
						if k.key == 0 {
							close(keys)
							return
						}
						select {
						case keys <- k.key:
						case <-ctx.Done():
						}
					}
				}()
				var out strings.Builder
				p := player{out: &out, keys: keys, speed: tc.speed}
				if err := p.play(ctx, c); err != nil {
					t.Error(err)
				}
				if took := time.Since(start); out.String() != tc.want || took != tc.took {
					t.Errorf("%q in %v, want %q in %v", out.String(), took, tc.want, tc.took)
				}
				stop()
			})
		})
	}
}

func TestAStoppedPlayerStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		p := player{out: &strings.Builder{}, speed: 1, paused: true}
		if err := p.play(ctx, &replay.Cast{Events: []replay.Event{{Code: replay.Output}}}); err == nil {
			t.Error("it went on")
		}
	})
}
