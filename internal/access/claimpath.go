package access

import (
	"errors"
	"regexp"
	"strings"
)

// NameForm is what names of principals are like: safe to show, to type as a user name, and to write in a policy.
var NameForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,62}$`)

// ClaimPath leads to a claim: the names of objects within objects, the outermost first.
type ClaimPath []string

// ParseClaimPath reads names joined by dots. A name that has a dot, a quote or a space in itself stands in double quotes:
// realm_access.roles, "https://example.com/groups", resource_access."my.client".roles.
func ParseClaimPath(s string) (ClaimPath, error) {
	var path ClaimPath
	for rest := s; ; {
		var name string
		if strings.HasPrefix(rest, `"`) {
			end := strings.Index(rest[1:], `"`)
			if end < 0 {
				return nil, errors.New("a quote is not closed")
			}
			name, rest = rest[1:1+end], rest[2+end:]
			if rest != "" && rest[0] != '.' {
				return nil, errors.New("after a name in quotes comes a dot, or nothing")
			}
		} else {
			end := strings.IndexByte(rest, '.')
			if end < 0 {
				end = len(rest)
			}
			name, rest = rest[:end], rest[end:]
			if strings.ContainsAny(name, "\" \t/:") {
				return nil, errors.New("a name with a space, a slash, a colon or a quote stands in double quotes")
			}
		}
		if name == "" {
			return nil, errors.New("a name is empty")
		}
		path = append(path, name)
		if rest == "" {
			return path, nil
		}
		rest = rest[1:]
	}
}

// In gives what the path leads to in claims. present is false where a claim on the way is absent or null; ok is false where one on the way
// is no object.
func (p ClaimPath) In(claims map[string]any) (value any, present, ok bool) {
	value = claims
	for _, name := range p {
		m, isObject := value.(map[string]any)
		if !isObject {
			return nil, true, false
		}
		if value = m[name]; value == nil {
			return nil, false, true
		}
	}
	return value, true, true
}
