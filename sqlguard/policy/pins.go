package policy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
)

// A pin is what @role or one assignment of @setting says: a constant, or an attribute of the principal.
type pin struct {
	name      string // of the setting, lower-case
	value     string
	attribute string // principal.NAME, or "" for a constant
}

// settingForm is the ASCII part of what PostgreSQL takes for the name of a setting (guc.c, valid_custom_variable_name), folded.
var settingForm = regexp.MustCompile(`^[a-z_][a-z0-9_$]*(\.[a-z_][a-z0-9_$]*)*$`)

// unpinnable are names that @setting cannot have, with what to do instead. The gateway itself relies on the values of some,
// others mean something else where sessions begin.
var unpinnable = map[string]string{
	"role":                        `write @role("tenant_reader")`,
	"session_authorization":       `write @role("tenant_reader")`,
	"client_encoding":             "the gateway keeps it at UTF8",
	"standard_conforming_strings": "the gateway keeps it on",
	"backslash_quote":             "statements are read under its standard value",
	"escape_string_warning":       "statements are read under its standard value",
	"transform_null_equals":       "it changes what statements mean",
	"user":                        "it is no setting",
	"database":                    "it is no setting",
	"options":                     "it is no setting",
	"replication":                 "it is no setting",
}

// parseRole reads @role: the name of a role, or principal.NAME.
func parseRole(v string) (pin, error) {
	if attribute, ok := strings.CutPrefix(v, "principal."); ok {
		return pin{name: "role", attribute: attribute}, nil
	}
	return pin{name: "role", value: v}, validRole(v)
}

func validRole(v string) error {
	if v == "" || strings.TrimSpace(v) != v || strings.ContainsRune(v, 0) || strings.EqualFold(v, "none") || strings.EqualFold(v, "default") {
		return fmt.Errorf("%q is not the name of a role", v)
	}
	return nil
}

// parseSettings reads @setting, a list of assignments as UPDATE has them: app.tenant = principal.tenant, app.region = 'eu'.
func parseSettings(v string) ([]pin, error) {
	tree, err := pg.Parse("UPDATE t SET " + v)
	if err != nil {
		return nil, fmt.Errorf("not a list of settings: %w", err)
	}
	u := tree.Stmts[0].Stmt.GetUpdateStmt()
	if len(tree.Stmts) != 1 || u == nil || u.WhereClause != nil || len(u.FromClause) > 0 || len(u.ReturningList) > 0 {
		return nil, fmt.Errorf("more than a list of settings")
	}
	var pins []pin
	for _, n := range u.TargetList {
		t := n.GetResTarget()
		name := t.GetName()
		for _, part := range t.GetIndirection() {
			name += "." + part.GetString_().GetSval()
		}
		p := pin{name: strings.ToLower(name)}
		switch val := t.GetVal().GetNode().(type) {
		case *pg.Node_AConst:
			switch c := val.AConst.Val.(type) {
			case *pg.A_Const_Sval:
				p.value = c.Sval.Sval
			case *pg.A_Const_Ival:
				p.value = fmt.Sprint(c.Ival.Ival)
			case *pg.A_Const_Fval:
				p.value = c.Fval.Fval
			case *pg.A_Const_Boolval:
				p.value = fmt.Sprint(c.Boolval.Boolval)
			default:
				return nil, fmt.Errorf("%s is given no value", name)
			}
		case *pg.Node_ColumnRef:
			fields := val.ColumnRef.Fields
			if len(fields) != 2 || fields[0].GetString_().GetSval() != "principal" || fields[1].GetString_() == nil {
				return nil, fmt.Errorf("the value of %s is neither a constant nor principal.NAME; texts are written in quotes", name)
			}
			p.attribute = fields[1].GetString_().GetSval()
		default:
			return nil, fmt.Errorf("the value of %s is neither a constant nor principal.NAME; texts are written in quotes", name)
		}
		if !settingForm.MatchString(p.name) || strings.HasPrefix(p.name, "_pq_.") {
			return nil, fmt.Errorf("%q is not the name of a setting", name)
		}
		if why := unpinnable[p.name]; why != "" {
			return nil, fmt.Errorf("%s cannot be pinned: %s", p.name, why)
		}
		if strings.HasPrefix(p.name, "sallyport.") {
			return nil, fmt.Errorf("%s cannot be pinned: it belongs to the gateway", p.name)
		}
		if slices.ContainsFunc(pins, func(o pin) bool { return o.name == p.name }) {
			return nil, fmt.Errorf("%s is given two values", p.name)
		}
		pins = append(pins, p)
	}
	return pins, nil
}

// Pins are the role and the settings that obligations of a permit to connect pin for p. An error says, in words for the
// client, why there is no saying what they are: then there must be no session.
func Pins(p access.Principal, o access.Obligations) (access.Pins, error) {
	var out access.Pins
	pins := []pin{}
	for _, v := range o.Role {
		role, err := parseRole(v)
		if err != nil {
			return out, err
		}
		pins = append(pins, role)
	}
	for _, v := range o.Settings {
		list, err := parseSettings(v)
		if err != nil {
			return out, err
		}
		pins = append(pins, list...)
	}
	values := map[string]string{}
	for _, pin := range pins {
		v := pin.value
		if pin.attribute != "" {
			var ok bool
			if v, ok = p.Attribute(pin.attribute); !ok || v == "" {
				return out, fmt.Errorf("the policies pin %s to principal.%s, which %s does not have", pin.name, pin.attribute, p.Name)
			}
			if strings.ContainsRune(v, 0) || pin.name == "role" && validRole(v) != nil {
				return out, fmt.Errorf("the policies pin %s to principal.%s, which cannot be one for %s", pin.name, pin.attribute, p.Name)
			}
		}
		if was, ok := values[pin.name]; ok && was != v {
			return out, fmt.Errorf("several policies pin %s to different values for %s", pin.name, p.Name)
		}
		values[pin.name] = v
	}
	out.Role = values["role"]
	delete(values, "role")
	if len(values) > 0 {
		out.Settings = values
	}
	return out, nil
}

// Pins is true when some policy pins a role or settings.
func (s *Set) Pins() bool {
	return s != nil && slices.ContainsFunc(s.rules, func(r *rule) bool { return len(r.obligations.Role)+len(r.obligations.Settings) > 0 })
}

// pinned lists the attributes of a principal that pins speak of.
func (r *rule) pinned() []string {
	found := map[string]bool{}
	for _, v := range r.obligations.Role {
		if p, err := parseRole(v); err == nil && p.attribute != "" {
			found[p.attribute] = true
		}
	}
	for _, v := range r.obligations.Settings {
		list, _ := parseSettings(v) // it has been parsed before
		for _, p := range list {
			if p.attribute != "" {
				found[p.attribute] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}
