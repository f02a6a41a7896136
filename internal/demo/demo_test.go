package demo

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/testdb"
)

func TestPeopleAreTheSameEachTimeAndSafe(t *testing.T) {
	a, b := people(customers), people(customers)
	if !reflect.DeepEqual(a, b) {
		t.Error("two runs differ")
	}
	seen := map[string]bool{}
	address := regexp.MustCompile(`@([a-z]+\.)?example\.(com|org|net)$`)
	phone := regexp.MustCompile(`^\+(44 (113 496 0|20 7946 0|117 496 0)|1 \d{3} 555 01|49 (40 66969|30 23125) |33 1 99 00 |353 20 91)`)
	for _, p := range a {
		if seen[p.email] {
			t.Errorf("%s is there twice", p.email)
		}
		seen[p.email] = true
		if !address.MatchString(p.email) {
			t.Errorf("%s is not on an example domain", p.email)
		}
		if !phone.MatchString(p.phone) {
			t.Errorf("%s is not in a range reserved for fiction", p.phone)
		}
		if !luhn(p.card) {
			t.Errorf("%s has a wrong check digit", p.card)
		}
		if p.born.After(today.AddDate(-18, 0, 0)) {
			t.Errorf("%s is a minor", p.name)
		}
	}
}

func luhn(card string) bool {
	digits := strings.ReplaceAll(card, " ", "")
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return len(digits) == 16 && sum%10 == 0
}

func TestTicketsHoldPersonalDataAndNoFormattingErrors(t *testing.T) {
	text := seedSQL(people(customers))
	if strings.Contains(text, "%!") {
		t.Error("a format went wrong")
	}
	notes := text[strings.Index(text, "support_tickets"):strings.Index(text, "INSERT INTO newsletter")]
	for _, want := range []string{"@example.", "4242 42", "+44 "} {
		if !strings.Contains(notes, want) {
			t.Errorf("no %s in any note", want)
		}
	}
}

func TestSeedLoads(t *testing.T) {
	s := testdb.Shared(t)
	dsn := s.NewDatabase(t, "CREATE ROLE demo_owner", "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO demo_owner', current_database()); END $$",
		"ALTER SCHEMA public OWNER TO demo_owner; SET ROLE demo_owner;"+shopSQL+seedSQL(people(customers)),
		// Totals are sums of items, and the tour's count of matches is right.
		`DO $$ BEGIN
			ASSERT (SELECT count(*) FROM customers) = 500;
			ASSERT NOT EXISTS (SELECT FROM orders o WHERE total <> (SELECT sum(quantity * price) FROM order_items WHERE order_id = o.id));
			ASSERT (SELECT count(*) FROM customers JOIN newsletter USING (email)) = 167;
			ASSERT (SELECT count(*) FROM support_tickets WHERE notes LIKE '%card%') >= 3;
			ASSERT NOT EXISTS (SELECT FROM orders o JOIN customers c ON c.id = customer_id WHERE placed < joined);
			ASSERT (SELECT count(*) FROM sales_by_country) = 5;
		END $$`)
	t.Cleanup(func() {
		// Roles outlive databases.
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_ = s.Exec(ctx, "postgres", "REASSIGN OWNED BY demo_owner TO postgres; DROP ROLE IF EXISTS demo_owner")
	})
	if len(subscribers(people(customers))) != 167 {
		t.Errorf("subscribers: %d", len(subscribers(people(customers))))
	}
	_ = dsn
}

func TestFilesAreASoundConfiguration(t *testing.T) {
	dir := t.TempDir()
	who := logins()
	path, err := writeFiles(dir, "postgres://x@127.0.0.1/shop", Doors{"127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", "http://127.0.0.1:1"}, who)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Warnings) > 0 {
		t.Errorf("warnings: %v", cfg.Warnings)
	}
	text, _ := os.ReadFile(path)
	for _, l := range who {
		if l.Password != "" && strings.Contains(string(text), l.Password) || l.Token != "" && strings.Contains(string(text), l.Token) {
			t.Errorf("a secret of %s is in the file", l.Name)
		}
		if l.Password == "" && l.Token == "" && !l.Provided {
			t.Errorf("%s cannot log in", l.Name)
		}
	}
	// A second run writes over its own files, and over nobody else's.
	if _, err := writeFiles(dir, "x", Doors{"127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", "http://127.0.0.1:1"}, logins()); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte("data_dir: mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := writeFiles(dir, "x", Doors{"127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", "http://127.0.0.1:1"}, logins()); err == nil {
		t.Error("somebody's configuration was written over")
	}
}

func TestArchivesCannotWriteOutside(t *testing.T) {
	for name, wantErr := range map[string]bool{"package/native/bin/postgres": false, "../escaped": true, "/etc/escaped": true} {
		dir := t.TempDir()
		var b bytes.Buffer
		gz := gzip.NewWriter(&b)
		tw := tar.NewWriter(gz)
		if err := tw.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: 2}); err != nil {
			t.Fatal(err)
		}
		tw.Write([]byte("hi"))
		tw.Close()
		gz.Close()
		archive := filepath.Join(dir, "a.tgz")
		if err := os.WriteFile(archive, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := untar(archive, dir); (err != nil) != wantErr {
			t.Errorf("%s: %v", name, err)
		}
		if st, err := os.Stat(filepath.Join(dir, name)); !wantErr && (err != nil || st.Mode().Perm()&0o111 == 0) {
			t.Errorf("%s is not there or cannot be run: %v", name, err)
		}
	}
}

func TestLinksAreMadeRelative(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "native", "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(root, "native", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("lib/libpq.so.5.15", "elf")
	write("pg-symlinks.json", `[{"source":"native/lib/libpq.so.5.15","target":"native/lib/libpq.so.5"}]`)
	if err := hydrate(root); err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(filepath.Join(root, "native/lib/libpq.so.5")); err != nil || to != "libpq.so.5.15" {
		t.Errorf("link to %q: %v", to, err)
	}
	write("pg-symlinks.json", `[{"source":"native/lib/libpq.so.5.15","target":"../../evil"}]`)
	if err := hydrate(root); err == nil {
		t.Error("a link outside was made")
	}
}
