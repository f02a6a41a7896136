package regress

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
)

// suite is where everything of one PostgreSQL version lies.
type suite struct {
	version string // Debian version, e.g. 15.18-0+deb12u1
	dir     string
}

func (s suite) bin() string    { return s.pg("bin") }
func (s suite) lib() string    { return s.pg("lib") }
func (s suite) runner() string { return s.pg("lib/pgxs/src/test/regress/pg_regress") }
func (s suite) headers() string {
	return filepath.Join(s.dir, "usr/include/postgresql", major, "server")
}
func (s suite) pg(p string) string { return filepath.Join(s.dir, "usr/lib/postgresql", major, p) }
func (s suite) source() string     { return filepath.Join(s.dir, "source", "src", "test", "regress") }

// major is the PostgreSQL version that the gateway's registry speaks of.
const major = "15"

// prepare fetches and builds what is not there yet.
func prepare(dir string) (suite, error) {
	s := suite{dir: dir}
	if b, err := os.ReadFile(filepath.Join(dir, "version")); err == nil {
		s.version = strings.TrimSpace(string(b))
		return s, nil
	}
	if err := os.MkdirAll(filepath.Join(dir, "apt", "lists", "partial"), 0o755); err != nil {
		return s, err
	}
	apt, err := archive(dir)
	if err != nil {
		return s, err
	}
	versions, err := apt.versions()
	if err != nil {
		return s, err
	}
	// The newest version of which the archive really has the source wins.
	for _, v := range versions {
		fmt.Println("fetching the source and binaries of postgresql-"+major, v)
		if err = apt.fetch(v); err == nil {
			s.version = v
			break
		}
		fmt.Println("  not to be had:", err)
	}
	if s.version == "" {
		return s, fmt.Errorf("no version of postgresql-%s could be fetched: %w", major, err)
	}
	if err := s.unpack(); err != nil {
		return s, err
	}
	return s, os.WriteFile(filepath.Join(dir, "version"), []byte(s.version+"\n"), 0o644)
}

func (s suite) unpack() error {
	debs, _ := filepath.Glob(filepath.Join(s.dir, "*.deb"))
	for _, deb := range debs {
		if err := run(s.dir, "dpkg-deb", "-x", deb, s.dir); err != nil {
			return err
		}
	}
	tars, _ := filepath.Glob(filepath.Join(s.dir, "postgresql-*.orig.tar.*"))
	if len(tars) != 1 || len(debs) != 3 {
		return fmt.Errorf("fetched %d packages and %d sources, want 3 and 1", len(debs), len(tars))
	}
	if err := os.MkdirAll(filepath.Join(s.dir, "source"), 0o755); err != nil {
		return err
	}
	if err := run(s.dir, "tar", "-xf", tars[0], "-C", "source", "--strip-components=1", "--wildcards", "*/src/test/regress"); err != nil {
		return err
	}
	// The functions in C that the suite loads.
	return run(s.source(), "gcc", "-O2", "-fPIC", "-shared", "-I", s.headers(), "-o", "regress.so", "regress.c")
}

// aptDir is a private view of the machine's Debian archive: binary and source packages, no root.
type aptDir struct{ dir string }

var typesLine = regexp.MustCompile(`(?m)^Types:.*$`)

func archive(dir string) (aptDir, error) {
	parts := filepath.Join(dir, "apt", "parts")
	if err := os.MkdirAll(parts, 0o755); err != nil {
		return aptDir{}, err
	}
	var list strings.Builder
	files, _ := filepath.Glob("/etc/apt/sources.list.d/*.sources")
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return aptDir{}, err
		}
		list.WriteString(typesLine.ReplaceAllString(string(b), "Types: deb deb-src") + "\n\n")
	}
	if err := os.WriteFile(filepath.Join(parts, "all.sources"), []byte(list.String()), 0o644); err != nil {
		return aptDir{}, err
	}
	var old strings.Builder
	files, _ = filepath.Glob("/etc/apt/sources.list.d/*.list")
	for _, f := range append(files, "/etc/apt/sources.list") {
		b, _ := os.ReadFile(f) // the last one is often absent
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb "); ok {
				fmt.Fprintf(&old, "deb %s\ndeb-src %s\n", rest, rest)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(parts, "old.list"), []byte(old.String()), 0o644); err != nil {
		return aptDir{}, err
	}
	a := aptDir{dir}
	return a, a.run("update")
}

func (a aptDir) args(more ...string) []string {
	return append([]string{"-q",
		"-o", "Dir::Etc::sourcelist=/dev/null",
		"-o", "Dir::Etc::sourceparts=" + filepath.Join(a.dir, "apt", "parts"),
		"-o", "Dir::State::lists=" + filepath.Join(a.dir, "apt", "lists"),
		"-o", "Dir::Cache=" + filepath.Join(a.dir, "apt", "cache"),
		"-o", "APT::Sandbox::User=",
		"-o", "Debug::NoLocking=1"}, more...)
}

func (a aptDir) run(more ...string) error {
	if err := os.MkdirAll(filepath.Join(a.dir, "apt", "cache", "archives", "partial"), 0o755); err != nil {
		return err
	}
	return run(a.dir, "apt-get", a.args(more...)...)
}

// versions lists the source versions that the archive names, newest first.
func (a aptDir) versions() ([]string, error) {
	out, err := exec.Command("apt-cache", a.args("showsrc", "postgresql-"+major)...).Output()
	if err != nil {
		return nil, fmt.Errorf("apt-cache showsrc: %w", err)
	}
	seen := map[string]bool{}
	var all []string
	for line := range strings.Lines(string(out)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "Version: "); ok && !seen[v] {
			seen[v] = true
			all = append(all, v)
		}
	}
	sort.Slice(all, func(i, j int) bool { // dpkg knows how versions compare
		return exec.Command("dpkg", "--compare-versions", all[i], "gt", all[j]).Run() == nil
	})
	return all, nil
}

func (a aptDir) fetch(version string) error {
	if err := a.run("source", "--download-only", "postgresql-"+major+"="+version); err != nil {
		return err
	}
	return a.run("download", "postgresql-"+major+"="+version, "postgresql-client-"+major+"="+version, "postgresql-server-dev-"+major+"="+version)
}

func run(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		text := strings.TrimSpace(string(out))
		if len(text) > 800 {
			text = "…" + text[len(text)-800:]
		}
		return fmt.Errorf("%s: %w: %s", name, err, text)
	}
	return nil
}
