package pgwire

import (
	"fmt"
	"strings"

	"sallyport/internal/access"
)

// option is one setting of the startup packet's "options".
type option struct{ name, value string }

// parseOptions reads command-line options as a server process takes them (postgres.c,
// process_postgres_switches): -c name=value, -cname=value, --name=value. Dashes in a long option's name
// mean underscores. Every other switch is refused: they belong to a server's operator.
func parseOptions(text string) ([]option, error) {
	var list []option
	args := splitOptions(text)
	for i := 0; i < len(args); i++ {
		arg, flag := args[i], ""
		switch {
		case arg == "-c":
			if i++; i == len(args) {
				return nil, badOption("option -c requires an argument")
			}
			flag, arg = "-c ", args[i]
		case strings.HasPrefix(arg, "-c"):
			flag, arg = "-c ", arg[2:]
		case strings.HasPrefix(arg, "--") && len(arg) > 2:
			flag, arg = "--", arg[2:]
		default:
			return nil, badOption("command-line option %q is not accepted", printable(arg, 63))
		}
		name, value, ok := strings.Cut(arg, "=")
		name = strings.ToLower(strings.ReplaceAll(name, "-", "_"))
		if !ok || name == "" {
			return nil, badOption("%s%s requires a value", flag, printable(arg, 63))
		}
		list = append(list, option{name, value})
	}
	// PostgreSQL applies them in order: of a repeated name the last counts.
	last := make(map[string]int, len(list))
	for i, o := range list {
		last[o.name] = i
	}
	kept := list[:0]
	for i, o := range list {
		if last[o.name] == i {
			kept = append(kept, o)
		}
	}
	return kept, nil
}

// splitOptions splits at white space; a backslash takes the next byte as it stands (postinit.c,
// pg_split_opts).
func splitOptions(s string) []string {
	var args []string
	for i := 0; ; {
		for i < len(s) && isSpace(s[i]) {
			i++
		}
		if i == len(s) {
			return args
		}
		var arg []byte
		for escaped := false; i < len(s); i++ {
			if isSpace(s[i]) && !escaped {
				break
			}
			if !escaped && s[i] == '\\' {
				escaped = true
				continue
			}
			escaped = false
			arg = append(arg, s[i])
		}
		args = append(args, string(arg))
	}
}

// isSpace is C's isspace in the C locale.
func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func badOption(format string, args ...any) error {
	return &access.Error{
		Kind: access.Invalid, Code: "42601", Message: "startup options: " + fmt.Sprintf(format, args...),
		Hint: `write options as -c name=value, with a backslash before each blank in a value`,
	}
}

func versionText(v uint32) string { return fmt.Sprintf("%d.%d", v>>16, v&0xffff) }
