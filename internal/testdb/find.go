package testdb

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
)

// ErrNotFound says that no PostgreSQL server was found on this machine.
var ErrNotFound = errors.New("no PostgreSQL server found (looked for initdb and postgres in /usr/lib/postgresql/*/bin and PATH): run `make deps`")

// installed are the places where packages put the server's binaries, one folder a major version.
var installed = []string{
	"/usr/lib/postgresql/*/bin",            // Debian, Ubuntu
	"/usr/pgsql-*/bin",                     // PGDG on RPM systems
	"/opt/homebrew/opt/postgresql@*/bin",   // Homebrew, arm64
	"/usr/local/opt/postgresql@*/bin",      // Homebrew, amd64
	"/usr/libexec/postgresql*",             // Alpine
	"/Applications/Postgres.app/*/*/*/bin", // Postgres.app
}

// BinDir finds the folder with the server's binaries. An empty version takes PGVERSION from the
// environment; if that is empty too, the newest installed version wins.
func BinDir(version string) (string, error) {
	if version == "" {
		version = os.Getenv("PGVERSION")
	}
	type found struct {
		dir   string
		major int
	}
	var all []found
	for _, pattern := range installed {
		dirs, _ := filepath.Glob(pattern)
		for _, dir := range dirs {
			if isServer(dir) {
				all = append(all, found{dir, major(dir)})
			}
		}
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].major > all[j].major })
	for _, f := range all {
		if version == "" || version == strconv.Itoa(f.major) {
			return f.dir, nil
		}
	}
	if version != "" {
		return "", fmt.Errorf("no PostgreSQL %s found (PGVERSION=%s): install it, or unset PGVERSION", version, version)
	}
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if dir := filepath.Dir(initdb); isServer(dir) {
			return dir, nil
		}
	}
	return "", ErrNotFound
}

// LookPath finds a PostgreSQL program (psql, pgbench, pg_dump ...): beside the server, else in PATH.
func LookPath(name string) (string, error) {
	if dir, err := BinDir(""); err == nil {
		if p := filepath.Join(dir, name); executable(p) {
			return p, nil
		}
	}
	p, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s not found beside the PostgreSQL server or in PATH: run `make deps`", name)
	}
	return p, nil
}

func isServer(dir string) bool {
	return executable(filepath.Join(dir, "initdb")) && executable(filepath.Join(dir, "postgres"))
}

func executable(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && st.Mode().Perm()&0o111 != 0
}

// major reads the version out of the folder's name: the first number in the path from the right.
func major(dir string) int {
	for d := dir; d != "/" && d != "."; d = filepath.Dir(d) {
		base, end := filepath.Base(d), 0
		for end < len(base) && (base[len(base)-1-end] >= '0' && base[len(base)-1-end] <= '9') {
			end++
		}
		if n, err := strconv.Atoi(base[len(base)-end:]); err == nil {
			return n
		}
	}
	return 0
}
