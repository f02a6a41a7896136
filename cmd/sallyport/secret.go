package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// minPassword keeps out passwords that can be guessed offline from a leaked verifier in no time.
const minPassword = 8

// readPassword asks for a password twice at a terminal, without showing it; otherwise it takes the
// first line of standard input.
func (a *app) readPassword(who string) (string, error) {
	var pw string
	if f, ok := a.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		first, err := a.prompt(f, "Password for "+who+": ")
		if err != nil {
			return "", err
		}
		again, err := a.prompt(f, "Again: ")
		if err != nil {
			return "", err
		}
		if first != again {
			return "", errors.New("the two passwords differ: nothing was changed")
		}
		pw = first
	} else {
		line, err := bufio.NewReader(a.in).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the password from standard input: %w", err)
		}
		pw = strings.TrimRight(line, "\r\n")
	}
	switch {
	case pw == "":
		return "", usagef("no password given: type it at a terminal, pipe it in, or let --generate make one")
	case len(pw) < minPassword:
		return "", usagef("the password is too short: at least %d characters", minPassword)
	case strings.ContainsRune(pw, 0):
		return "", usagef("the password holds a NUL byte, which no PostgreSQL client can send")
	}
	return pw, nil
}

func (a *app) prompt(tty *os.File, text string) (string, error) {
	fmt.Fprint(a.err, text)
	b, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(a.err)
	return string(b), err
}

// newPassword makes one that needs no quoting anywhere.
func newPassword() string { return strings.ToLower(rand.Text()[:20]) }
