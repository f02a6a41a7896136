package config

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	commandPatience = 10 * time.Second
	mostSecret      = 64 << 10 // bytes that a command may print
	mostComplaint   = 500      // bytes of what it says about a failure
)

// runCommand gives what a program prints, without the line break at its end. There is no shell: the arguments are what they are. The
// program has the gateway's environment and the configuration's folder. What it printed is in no error.
func runCommand(ctx context.Context, dir string, command []string) (string, error) {
	ctx, stop := context.WithTimeout(ctx, commandPatience)
	defer stop()
	program := command[0]
	if strings.ContainsRune(program, filepath.Separator) && !filepath.IsAbs(program) {
		program = filepath.Join(dir, program)
	}
	cmd := exec.CommandContext(ctx, program, command[1:]...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // with what it has started
	cmd.WaitDelay = time.Second
	out, complaint := &bounded{most: mostSecret}, &bounded{most: mostComplaint}
	cmd.Stdout, cmd.Stderr = out, complaint
	err := cmd.Run()
	said := func(what string) error {
		if text := strings.TrimSpace(strings.ToValidUTF8(complaint.String(), "?")); text != "" {
			return fmt.Errorf("%s: %q", what, text)
		}
		return errors.New(what)
	}
	var exit *exec.ExitError
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return "", said("it was ended before it had done")
	case ctx.Err() != nil:
		return "", said(fmt.Sprintf("it had not ended after %v", commandPatience))
	case errors.As(err, &exit):
		return "", said(exit.Error())
	case err != nil:
		return "", err
	case out.over:
		return "", fmt.Errorf("it printed more than %d bytes", mostSecret)
	}
	value := strings.TrimSuffix(strings.TrimSuffix(out.String(), "\n"), "\r")
	switch {
	case value == "":
		return "", said("it printed nothing")
	case strings.ContainsAny(value, "\n\x00"):
		return "", errors.New("it printed several lines, or a NUL byte: a secret is one line")
	}
	return value, nil
}

// bounded keeps the first bytes that are written to it.
type bounded struct {
	kept []byte // not a bytes.Buffer inside: io.Copy would go past Write to its ReadFrom
	most int
	over bool
}

func (b *bounded) String() string { return string(b.kept) }

func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), b.most-len(b.kept))
	b.over = b.over || n < len(p)
	b.kept = append(b.kept, p[:n]...)
	return len(p), nil
}

// readSecretFile gives the text of a file without the space around it.
func readSecretFile(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", errors.New(reason(err))
	}
	value := strings.TrimSpace(string(b))
	if value == "" {
		return "", fmt.Errorf("`%s` is empty", path)
	}
	return value, nil
}

// rereads gives what reads a secret again that is in a file or printed by a command; nil for one that stays what it is.
func (c *Config) rereads(file string, command []string) func(context.Context) (string, error) {
	switch dir := c.Dir; {
	case len(command) > 0:
		return func(ctx context.Context) (string, error) { return runCommand(ctx, dir, command) }
	case file != "":
		path := c.abs(file)
		return func(context.Context) (string, error) { return readSecretFile(path) }
	}
	return nil
}

// DSN reads the connection string of a connection again, from where the configuration said when it was loaded. What stands in
// the configuration itself, or in the environment, is what it was.
func (c *Config) DSN(ctx context.Context, connection string) (string, error) {
	conn, ok := c.File.Connections[connection]
	switch {
	case !ok:
		return "", fmt.Errorf("there is no connection %q", connection)
	case len(conn.DSNCommand) > 0:
		value, err := runCommand(ctx, c.Dir, conn.DSNCommand)
		if err != nil {
			return "", fmt.Errorf("`dsn_command` of %s: %s: %w", connection, conn.DSNCommand[0], err)
		}
		return value, nil
	case conn.DSNFile != "":
		return readSecretFile(c.abs(conn.DSNFile))
	case conn.DSNEnv != "":
		return os.Getenv(conn.DSNEnv), nil
	}
	return conn.DSN, nil
}

// Receivers reads the secrets of exporters and channels again, from where the configuration said when it was loaded, and judges them as then:
// of what comes back Exports and Channels count. What cannot be read, or is not sound, is an error, and nothing comes back. Commands end with ctx.
func (c *Config) Receivers(ctx context.Context) (*Config, error) {
	d := &document{path: c.Path, run: func(dir string, command []string) (string, error) { return runCommand(ctx, dir, command) }}
	next := &Config{Path: c.Path, Dir: c.Dir, text: c.text}
	d.parse(c.text, &next.File)
	if len(d.problems) == 0 {
		next.exports(d)
		next.notify(d)
	}
	if problems := append(d.problems, next.Absent...); len(problems) > 0 {
		return nil, problems.sorted()
	}
	return next, nil
}
