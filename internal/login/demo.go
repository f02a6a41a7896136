package login

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const demoFile = "demo"

// Announce says that a demo of this user's is at a gateway, for commands that are told of no other. What log-ins at an earlier demo at that
// address have left is deleted, now and by withdraw: at another one it is worth nothing.
func Announce(root, gateway string) (withdraw func() error, err error) {
	p, err := Open(root, gateway)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(root, demoFile)
	if err := errors.Join(p.leave(), writeFile(path, []byte(p.Gateway+"\n"))); err != nil {
		return nil, err
	}
	return func() error {
		err := p.leave()
		if now, _ := Announced(root); now == p.Gateway { // else another demo's by now
			err = errors.Join(err, os.Remove(path))
		}
		return err
	}, nil
}

// Announced is the gateway of this user's demo; "" where none runs.
func Announced(root string) (string, error) { return firstLine(filepath.Join(root, demoFile)) }

// leave is Forget, and commands do not go to that gateway by themselves any more.
func (p *Profile) leave() error {
	err := p.Forget()
	if last, _ := Current(p.root); last == p.Gateway {
		err = errors.Join(err, os.Remove(filepath.Join(p.root, currentFile)))
	}
	return err
}

// firstLine reads a small file; "" where there is none.
func firstLine(path string) (string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	line, _, _ := strings.Cut(string(text[:min(len(text), 4096)]), "\n")
	return strings.TrimSpace(line), err
}
