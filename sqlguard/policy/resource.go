package policy

import (
	"fmt"
	"strings"

	cedar "github.com/cedar-policy/cedar-go"

	"sallyport/internal/access"
)

// ParseResource reads a resource as policies write it, Table::"shop.public.orders". A Setting's
// connection and a Column's labels are not part of its id and given beside it.
func ParseResource(s, connection string, labels []access.Label) (Resource, error) {
	var uid cedar.EntityUID
	if err := uid.UnmarshalCedar([]byte(s)); err != nil {
		return Resource{}, fmt.Errorf(`%s is not a resource: write Table::"shop.public.orders"`, s)
	}
	t, raw := string(uid.Type), string(uid.ID)
	if uid.Type == typeSetting {
		return Setting(connection, raw), nil
	}
	p, err := split(raw)
	if err != nil {
		return Resource{}, err
	}
	want := map[string]int{string(typeConnection): 1, string(typeSchema): 2, string(typeTable): 3, string(typeFunction): 3, string(typeColumn): 4}[t]
	switch {
	case want == 0:
		return Resource{}, fmt.Errorf("%s is not a kind of resource: %s", t, suggest(t, []string{"Connection", "Schema", "Table", "Column", "Function", "Setting"}, "%s"))
	case len(p) != want:
		return Resource{}, fmt.Errorf("%s has %d parts, a %s has %d: %s", s, len(p), t, want, strings.Join([]string{"connection", "schema", "name", "column"}[:want], "."))
	}
	switch t {
	case string(typeConnection):
		return Connection(p[0]), nil
	case string(typeSchema):
		return Schema(p[0], p[1]), nil
	case string(typeFunction):
		return Function(p[0], access.Name{Schema: p[1], Name: p[2]}), nil
	case string(typeColumn):
		return Column(p[0], access.Name{Schema: p[1], Name: p[2]}, p[3], labels), nil
	default:
		return Table(p[0], access.Name{Schema: p[1], Name: p[2]}), nil
	}
}

// split takes an id apart; it is the inverse of id.
func split(s string) ([]string, error) {
	var parts []string
	for {
		var part strings.Builder
		if strings.HasPrefix(s, `"`) {
			s = s[1:]
			for {
				i := strings.IndexByte(s, '"')
				if i < 0 {
					return nil, fmt.Errorf("a quoted part of the name does not end")
				}
				part.WriteString(s[:i])
				s = s[i+1:]
				if !strings.HasPrefix(s, `"`) {
					break
				}
				part.WriteByte('"')
				s = s[1:]
			}
		} else {
			i := strings.IndexByte(s, '.')
			if i < 0 {
				i = len(s)
			}
			part.WriteString(s[:i])
			s = s[i:]
		}
		parts = append(parts, part.String())
		if s == "" {
			return parts, nil
		}
		if s[0] != '.' {
			return nil, fmt.Errorf("%q follows a quoted part of the name", s)
		}
		s = s[1:]
	}
}
