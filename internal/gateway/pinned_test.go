package gateway

import (
	"strings"
	"testing"
)

// TestPinnedSettingsAreRefusedNotFatal: what would change how bytes are read is an error, and the session lives on.
func TestPinnedSettingsAreRefusedNotFatal(t *testing.T) {
	w := newWorld(t)
	for _, who := range []string{"agent", "dba"} {
		s := w.login(who)
		for _, sql := range []string{
			"set client_encoding = 'LATIN1'", "set client_encoding to latin1", "SET CLIENT_ENCODING TO SJIS", "set names 'gbk'", "set client_encoding = SQL_ASCII",
			"set local client_encoding = 'latin1'", "set session client_encoding = 'latin1'", "set client_encoding = 'UTF8', 'LATIN1'", "set client_encoding = 1",
			"set standard_conforming_strings = off", "set standard_conforming_strings = 0", "select 1; set client_encoding = 'LATIN1'",
		} {
			for how, a := range map[string]*answer{"simple": w.query(s, sql), "extended": w.do(s, pipeline(sql)...)} {
				if len(a.errs) != 1 || a.tx != 'I' || !strings.HasPrefix(a.errs[0], "0A000") && !strings.HasPrefix(a.errs[0], "42") {
					t.Errorf("%s: %s, %s: %v", who, sql, how, a.errs)
				}
			}
		}
		for _, sql := range []string{"set client_encoding = 'utf-8'", "set names 'UTF8'", "set client_encoding to unicode", "reset client_encoding", "set client_encoding to default", "reset all",
			"set standard_conforming_strings = on", "SET Standard_Conforming_Strings TO 'TRUE'"} {
			wantNoError(t, w.query(s, sql))
		}
		if a := w.query(s, "select 'ä', current_setting('client_encoding')"); len(a.rows) != 1 || a.rows[0][0] != "ä" || a.rows[0][1] != "UTF8" {
			t.Errorf("%s: %v %v", who, a.rows, a.errs)
		}
		s.Close()
	}
	s := w.login("agent")
	defer s.Close()
	wantError(t, w.query(s, "select set_config('client_encoding', 'LATIN1', false)"), "0A000")
	wantNoError(t, w.query(s, "select 1"))
}
