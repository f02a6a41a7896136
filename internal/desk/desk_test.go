package desk

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/audit"
	"sallyport/audit/office"
	"sallyport/internal/access"
)

func aLog(t *testing.T, dir string) *audit.Log {
	t.Helper()
	l, err := audit.Open(dir, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if _, err := l.Append(&access.Record{Time: time.Now(), Kind: access.RecordRefused, SQL: "select 'walnut'"}); err != nil {
		t.Fatal(err)
	}
	return l
}

// An order goes over the socket and comes back with what came of it, a refusal with its kind and hint; only the owner
// reaches the socket, however deep its folder lies, and one that a crash left is in nobody's way.
func TestOrdersGoOverTheSocket(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", 30), "log")
	l := aLog(t, dir)
	order := office.Order{Kind: office.Erase, Scope: access.Scope{Person: "walnut"}, By: "dpo", Why: "request"}
	if _, err := Ask(dir, order); !errors.Is(err, ErrNobody) {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "office"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "office", "orders.sock"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	d := Open(dir, office.New(l, office.Rules{}, nil), nil, audit.Retention{}, slog.New(slog.DiscardHandler))
	for name, want := range map[string]os.FileMode{"office": 0o700, "office/orders.sock": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	_, err := Ask(dir, office.Order{Kind: office.Lift, ID: "h_none", By: "dpo", Why: "x"})
	var e *access.Error
	if !errors.As(err, &e) || e.Kind != access.Invalid || e.Hint == "" || e.Code != "42704" {
		t.Errorf("%v", err)
	}
	a, err := Ask(dir, order)
	if err != nil || a.Erased[0].Records != 1 || len(a.Certificate) == 0 {
		t.Errorf("%+v, %v", a, err)
	}
	long := order
	long.Why = strings.Repeat("x", most)
	if _, err := Ask(dir, long); err == nil {
		t.Error("an order of any length is read")
	}
	d.Close()
	if _, err := Ask(dir, order); !errors.Is(err, ErrNobody) {
		t.Error(err)
	}
}
