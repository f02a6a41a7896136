package sqlguard

import (
	"fmt"

	"sallyport/internal/access"
	"sallyport/sqlguard/policy"
	"sallyport/sqlguard/registry"
)

// oidJSON is the type json (pg_type.dat), the target of casts that to_json and its kin look for.
const oidJSON = 114

// functions judges every function that the statement calls, directly or behind an operator or cast.
func (j *judge) functions() *access.Decision {
	for _, f := range j.in.Facts.Functions {
		d := j.moves(f)
		if d != nil {
			return d
		}
		if f.Builtin {
			d = j.builtin(f)
		} else if f.Class != registry.Pure && f.Class != registry.Volatile { // those belong to known extensions
			d = j.call(f)
		}
		if d != nil {
			return d
		}
	}
	return nil
}

// builtin judges a function of pg_catalog by its class in the registry.
func (j *judge) builtin(f access.FunctionUse) *access.Decision {
	call := f.Name.Name + "()"
	switch f.Class {
	case registry.Pure, registry.Catalog, registry.Volatile:
		if registry.CallsJSONCasts(f.Name.Name) {
			return j.jsonCasts(call)
		}
		return nil
	case registry.Setting:
		// What it sets or shows is judged by name; without a name there is nothing to judge.
		if len(j.in.Facts.Settings)+len(j.in.Facts.Shows) == 0 {
			return j.unsupported(call)
		}
		return nil
	case registry.Notify:
		return j.need(access.ActNotify, policy.Connection(j.in.Connection), "notifying with "+call)
	case registry.Writes:
		if j.maskedPrincipal() && f.Name.Name != "nextval" {
			return j.no("function "+call+" is not available to principals with masked columns", "it could store a masked value")
		}
		// Which sequence or large object it changes is an argument, so it takes the permission to
		// write anything on the connection.
		return j.need(access.ActWrite, policy.Connection(j.in.Connection), "calling "+call+", which changes data,")
	case registry.Sizes, registry.Bounds:
		return nil // mask.Compile puts NULL in its place for principals with masked columns
	default:
		d := j.unsupported(call)
		if why := refusals[f.Class]; why != "" {
			d.Message = fmt.Sprintf("function %s %s and is not available through the gateway", call, why)
		}
		return d
	}
}

// refusals say what a class of functions does that is refused.
var refusals = map[string]string{
	registry.Discloses: "tells about data or activity beyond what the statement may read",
	registry.RunsSQL:   "runs SQL or reads relations given as text",
	registry.Blocks:    "makes the server or others wait",
	registry.Admin:     "works on files, processes or the configuration of the server",
	registry.Internal:  "is internal to the server",
}

// jsonCasts: to_json and its kin convert a value by a cast to json where its type has one, and that
// cast may be a user's function. Which types the values have is not known here, so all count.
func (j *judge) jsonCasts(call string) *access.Decision {
	for _, c := range j.in.Catalog.Casts {
		if c.Target != oidJSON || j.extension(c.Function) {
			continue
		}
		if d := j.need(access.ActCall, j.function(c.Function), fmt.Sprintf("%s may call the cast function %s, which", call, c.Function)); d != nil {
			return d
		}
	}
	return nil
}

// extension reports whether all functions of that name belong to known extensions.
func (j *judge) extension(name access.Name) bool {
	fs := j.in.Catalog.Functions[name]
	for _, f := range fs {
		if _, ok := registry.ExtensionFunction(f); !ok {
			return false
		}
	}
	return len(fs) > 0
}
