package gateway

import (
	"context"
	"strings"
	"testing"

	"sallyport/internal/access"
)

// TestStartupSettingsAreJudgedOneByOne: a permit to change settings is not one to smuggle in others, to speak
// another protocol or to become somebody else.
func TestStartupSettingsAreJudgedOneByOne(t *testing.T) {
	w := newWorld(t)
	if err := w.gw.LoadPolicies([]PolicyFile{{Name: "p", Text: testPolicy + `
		@id("settings") permit (principal in Group::"writers", action == Action::"session", resource in Connection::"shop");`}}); err != nil {
		t.Fatal(err)
	}
	connect := func(settings map[string]string) (*Session, error) {
		return w.gw.Connect(context.Background(), Login{Door: access.DoorPGWire, Connection: "shop",
			Credentials: access.Password{User: "writer", Secret: "pw-writer"}, Settings: settings})
	}
	for name, value := range map[string]string{
		"options": "-c role=pg_monitor", "OPTIONS": "-c transform_null_equals=on", "replication": "database", "Replication": "true",
		"user": "postgres", "database": "template1", "_pq_.command_tag": "1", "": "x", "work_mem ": "1MB", "search_path\n": "x",
		"role": "pg_monitor", "Session_Authorization": "pg_monitor", "transform_null_equals": "on", "session_replication_role": "replica",
		"session_preload_libraries": "x", "local_preload_libraries": "x", "dynamic_library_path": "/tmp", "allow_system_table_mods": "on",
		"ignore_system_indexes": "on", "post_auth_delay": "5", "zero_damaged_pages": "on", "sallyport.ipad": "00", "Sallyport.Opad": "00",
		"client_encoding": "SJIS", "standard_conforming_strings": "off", "backslash_quote": "on",
	} {
		s, err := connect(map[string]string{name: value})
		if err == nil {
			s.Close()
			t.Errorf("%q = %q was taken", name, value)
			continue
		}
		if ae := access.AsError(err); ae.Code != "0A000" && ae.Code != "42501" || ae.Hint == "" {
			t.Errorf("%q: %+v", name, ae)
		}
	}
	s, err := connect(map[string]string{"work_mem": "65MB", "DateStyle": "German", "my.tenant": "7"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if a := w.query(s, "select current_setting('work_mem'), current_setting('my.tenant'), current_user"); len(a.rows) != 1 || a.rows[0][0] != "65MB" || a.rows[0][1] != "7" || a.rows[0][2] != "postgres" {
		t.Errorf("%v %v", a.rows, a.errs)
	}
	for _, sql := range []string{"set allow_system_table_mods = on", "set dynamic_library_path = '/tmp'", "select set_config('zero_damaged_pages', 'on', false)"} {
		wantError(t, w.query(s, sql), "42501")
	}
}

// TestTheUserIsWhoIsProven: a door that hears a name beside the credentials gets a session for that name or none.
func TestTheUserIsWhoIsProven(t *testing.T) {
	w := newWorld(t)
	login := Login{Door: access.DoorPGWire, Connection: "shop", Credentials: access.Password{User: "dba", Secret: "pw-dba"}}
	for _, user := range []string{"agent", "DBA", "dba "} {
		login.User = user
		s, err := w.gw.Connect(context.Background(), login)
		if err == nil {
			s.Close()
			t.Fatalf("a session for %q", user)
		}
		if ae := access.AsError(err); ae.Kind != access.Denied || ae.Code != "28000" || ae.Hint == "" {
			t.Errorf("%q: %+v", user, ae)
		}
	}
	refused := 0
	for _, r := range w.records() {
		if r.Kind == access.RecordRefused && r.Code == "28000" && r.Principal == "dba" {
			refused++
		}
	}
	if refused != 3 {
		t.Errorf("%d refusals on record", refused)
	}
	login.User = "dba"
	s, err := w.gw.Connect(context.Background(), login)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

// TestClaimsStaySmallAndClean: what a client says of itself is in every record of its session.
func TestClaimsStaySmallAndClean(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("because of ada.lovelace@example.org ", 5000)
	s, err := w.gw.Connect(context.Background(), Login{Door: access.DoorPGWire, Connection: "shop", Credentials: access.Password{User: "agent", Secret: "pw-agent"},
		Reason: long, Settings: map[string]string{"sallyport.task": "mail ada.lovelace@example.org " + strings.Repeat("x", 5000)}})
	if err != nil {
		t.Fatal(err)
	}
	w.query(s, "select 1")
	w.query(s, "set sallyport.reason = '"+long+"'")
	w.query(s, "set sallyport.task = 'mail ada.lovelace@example.org "+strings.Repeat("x", 5000)+"'")
	w.query(s, "select 2")
	s.Close()
	for _, secret := range []string{"no", "pw-agent"} {
		if s, err := w.gw.Connect(context.Background(), Login{Door: access.DoorPGWire, Connection: strings.Repeat("n", 9000), Credentials: access.Password{User: "agent", Secret: secret}}); err == nil {
			s.Close()
			t.Error("there is such a connection")
		}
	}
	for _, r := range w.records() {
		if r.Kind == access.RecordRefused && len(r.Connection)+len(r.Error) > 2000 {
			t.Errorf("a refused log-in with a connection of %d bytes and an error of %d", len(r.Connection), len(r.Error))
		}
	}
	seen := 0
	for _, r := range w.records() {
		if r.Session != s.id {
			continue
		}
		seen++
		if len(r.Reason) > 3*mostParam || len(r.Task) > 3*mostTask {
			t.Errorf("%s: a reason of %d bytes, a task of %d", r.Kind, len(r.Reason), len(r.Task))
		}
		if strings.Contains(r.Reason+r.Task, "lovelace@example") {
			t.Errorf("%s: an address in %.100q %.100q", r.Kind, r.Reason, r.Task)
		}
	}
	if seen < 5 {
		t.Errorf("%d records", seen)
	}
}
