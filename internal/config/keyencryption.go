package config

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// KeyEncryption says where the key is that wraps the keys of records (log/keys): 32 bytes, in hex or base64, as
// `openssl rand -hex 32` makes them. Exactly one is given.
type KeyEncryption struct {
	// File holds it. Nobody but its owner may read that.
	File string `yaml:"file"`
	// Env names an environment variable that holds it.
	Env string `yaml:"env"`
	// Command is a program, with its arguments, that prints it: one that asks a key store.
	Command []string `yaml:"command"`
}

// commandTime is how long a command may take to print a key.
const commandTime = 30 * time.Second

func (c *Config) keyEncryption(d *document) {
	k := c.File.Audit.KeyEncryption
	if k == nil {
		return
	}
	given := 0
	for _, is := range []bool{k.File != "", k.Env != "", len(k.Command) > 0} {
		if is {
			given++
		}
	}
	if given != 1 {
		d.add(d.line("audit", "key_encryption"), "`audit.key_encryption` needs one of `file`, `env` and `command`", "leave `key_encryption` out to keep the keys of records as they are")
	}
	k.File = c.abs(k.File)
}

var errWrappingKey = errors.New("it is not a key of 32 bytes in hex or base64: `openssl rand -hex 32` makes one")

// Key gets the key. What it says of one that cannot be read never quotes it.
func (k *KeyEncryption) Key() ([32]byte, error) {
	switch {
	case k.File != "":
		return WrappingKeyFile(k.File)
	case k.Env != "":
		v := os.Getenv(k.Env)
		if v == "" {
			return [32]byte{}, fmt.Errorf("the environment variable %s is not set", k.Env)
		}
		key, err := wrappingKey(v)
		if err != nil {
			err = fmt.Errorf("the environment variable %s: %w", k.Env, err)
		}
		return key, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, k.Command[0], k.Command[1:]...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return [32]byte{}, fmt.Errorf("the command %s: %w", k.Command[0], err)
	}
	key, err := wrappingKey(string(out))
	if err != nil {
		err = fmt.Errorf("what the command %s prints: %w", k.Command[0], err)
	}
	return key, err
}

// WrappingKeyFile reads a key out of a file that nobody but its owner may read.
func WrappingKeyFile(path string) ([32]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return [32]byte{}, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return [32]byte{}, fmt.Errorf("%s: its mode %04o lets others at it; chmod 600 it, and replace the key if somebody may have read it", path, mode)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return [32]byte{}, err
	}
	key, err := wrappingKey(string(text))
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return key, err
}

func wrappingKey(text string) ([32]byte, error) {
	text = strings.TrimSpace(text)
	for _, decode := range []func(string) ([]byte, error){hex.DecodeString, base64.StdEncoding.DecodeString} {
		if b, err := decode(text); err == nil && len(b) == 32 {
			return [32]byte(b), nil
		}
	}
	return [32]byte{}, errWrappingKey
}
