package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"sallyport/internal/access"
	"sallyport/internal/config"
	"sallyport/mask"
)

// columnName is a column as the labels file writes it, safe for a terminal.
func columnName(id access.ColumnID) string { return printable(config.ColumnName(id)) }

// printable writes what could move a cursor or pose as another line as escapes: a database may call a column anything.
func printable(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return s
	}
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// describeUnjudged tells what is to be known of a column that nobody has judged.
func describeUnjudged(u mask.Unjudged) string {
	state := "shown"
	if u.Masked {
		state = "masked"
	}
	return fmt.Sprintf("%s (%s): %s", columnName(u.Column), printable(u.Type), state)
}
