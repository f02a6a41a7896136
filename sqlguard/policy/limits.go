package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/access"
)

// limit is an obligation whose value is one number or duration, of which the least counts.
type limit struct {
	name    string
	what    string // "number of rows"
	example string
	read    func(o *access.Obligations, v string) bool // false: not understood
	write   func(o access.Obligations) string          // "" where there is none
	least   func(o *access.Obligations, other access.Obligations)
}

var limits = []limit{
	{"bytes", "an amount of data", `@bytes("10MiB")`,
		func(o *access.Obligations, v string) (ok bool) { o.Bytes, ok = parseBytes(v); return ok },
		func(o access.Obligations) string { return writeBytes(o.Bytes) },
		func(o *access.Obligations, other access.Obligations) { o.Bytes = least(o.Bytes, other.Bytes) }},
	count("cost", "a cost of the planner's", `@cost("1000000")`, func(o *access.Obligations) *int64 { return &o.Cost }),
	count("concurrent", "a number of statements", `@concurrent("4")`, func(o *access.Obligations) *int64 { return &o.Concurrent }),
	count("sessions", "a number of sessions", `@sessions("10")`, func(o *access.Obligations) *int64 { return &o.Sessions }),
	span("lock_timeout", `@lock_timeout("2s")`, func(o *access.Obligations) *time.Duration { return &o.LockTimeout }),
	span("idle_timeout", `@idle_timeout("1m")`, func(o *access.Obligations) *time.Duration { return &o.IdleTimeout }),
}

// count is a limit that is a whole number.
func count(name, what, example string, of func(*access.Obligations) *int64) limit {
	return limit{name, what, example,
		func(o *access.Obligations, v string) bool {
			n, err := strconv.ParseInt(v, 10, 64)
			*of(o) = n
			return err == nil && n > 0
		},
		func(o access.Obligations) string {
			if n := *of(&o); n > 0 {
				return strconv.FormatInt(n, 10)
			}
			return ""
		},
		func(o *access.Obligations, other access.Obligations) { *of(o) = least(*of(o), *of(&other)) }}
}

// span is a limit that is a time.
func span(name, example string, of func(*access.Obligations) *time.Duration) limit {
	return limit{name, "a duration", example,
		func(o *access.Obligations, v string) bool {
			d, err := time.ParseDuration(v)
			*of(o) = d
			return err == nil && d > 0
		},
		func(o access.Obligations) string {
			return Span(*of(&o))
		},
		func(o *access.Obligations, other access.Obligations) { *of(o) = least(*of(o), *of(&other)) }}
}

func limitNamed(name string) (limit, bool) {
	i := slices.IndexFunc(limits, func(l limit) bool { return l.name == name })
	if i < 0 {
		return limit{}, false
	}
	return limits[i], true
}

func limitNames() []string {
	names := make([]string, len(limits))
	for i, l := range limits {
		names[i] = l.name
	}
	return names
}

// byteUnits are the units that amounts of data are written in, largest first.
var byteUnits = []struct {
	name string
	size int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}}

// parseBytes reads "10MiB", "500kB" or "4096".
func parseBytes(v string) (int64, bool) {
	size := int64(1)
	for _, u := range byteUnits {
		if digits, ok := strings.CutSuffix(v, u.name); ok {
			v, size = strings.TrimSpace(digits), u.size
			break
		}
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n <= 0 || n > (1<<62)/size {
		return 0, false
	}
	return n * size, true
}

// writeBytes is n in the largest unit that it is a whole number of, "" for 0.
func writeBytes(n int64) string {
	if n == 0 {
		return ""
	}
	for _, u := range byteUnits {
		if n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return ""
}

// Span is a duration as people write it: 1h rather than 1h0m0s. It is "" for 0.
func Span(d time.Duration) string {
	if d == 0 {
		return ""
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func writeProbes(b access.ProbeBudget) string {
	return strconv.FormatInt(b.Most, 10) + "/" + Span(b.Window)
}

// ofSeveral are the obligations, besides limits, that a case can expect.
var ofSeveral = []string{"where", "probes", "min_group", "group_by", "role", "setting", "preview"}

// expected puts the value that a case expects of an obligation into the form of words.
func expected(name, v string) (string, error) {
	if v == "" { // there is to be none
		if _, ok := limitNamed(name); ok || slices.Contains(ofSeveral, name) {
			return "", nil
		}
	}
	if l, ok := limitNamed(name); ok {
		var o access.Obligations
		if !l.read(&o, v) {
			return "", fmt.Errorf("%s is %q: not %s", name, v, l.what)
		}
		return l.write(o), nil
	}
	switch name {
	case "probes":
		b, ok := parseProbes(v)
		if !ok {
			return "", fmt.Errorf("probes is %q: not a budget such as 100/1h", v)
		}
		return writeProbes(b), nil
	case "group_by":
		columns := strings.Split(v, ",")
		for i := range columns {
			columns[i] = strings.TrimSpace(columns[i])
		}
		slices.Sort(columns)
		return strings.Join(columns, ", "), nil
	case "preview":
		if v != "off" && v != "auto" {
			return "", fmt.Errorf("preview is %q: it can be off or auto", v)
		}
		return v, nil
	case "where", "min_group", "role", "setting":
		return v, nil
	}
	return "", fmt.Errorf("limits has no %q: it has %s", name, strings.Join(append(limitNames(), ofSeveral...), ", "))
}
