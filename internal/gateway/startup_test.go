package gateway

import (
	"context"
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
