package registry

import "sallyport/internal/access"

// extensions lists the extensions whose functions only compute on their arguments, each with the functions
// that do not. Those shipped with PostgreSQL were read function by function; for PostGIS, which is too large
// for that, only what it declares IMMUTABLE counts. An extension's members cannot be changed by whoever may
// merely create functions: adding one takes the ownership of the extension.
//
// Left out on purpose: dblink and postgres_fdw (connections), tablefunc and xml2 (run SQL given as text),
// adminpack, file_fdw and lo (files, large objects), pageinspect, pgstattuple and their like (raw pages).
var extensions = map[string]struct {
	immutableOnly bool
	except        map[string]bool
}{
	"btree_gin":     {},
	"btree_gist":    {},
	"citext":        {},
	"cube":          {},
	"dict_int":      {},
	"dict_xsyn":     {},
	"earthdistance": {},
	"fuzzystrmatch": {},
	"hstore":        {},
	"intarray":      {},
	"isn":           {except: set("isn_weak")}, // changes how the session checks numbers
	"ltree":         {},
	"pg_trgm":       {except: set("set_limit")}, // changes a setting
	"pgcrypto":      {},
	"postgis":       {immutableOnly: true},
	"seg":           {},
	"unaccent":      {},
	"uuid-ossp":     {},
}

// ExtensionFunction gives the class of a function that belongs to a known extension: pure or volatile. ok is
// false for every other function; those need a policy's permission.
func ExtensionFunction(f *access.Function) (class string, ok bool) {
	ext, known := extensions[f.Extension]
	if f.Extension == "" || !known || f.Security || ext.except[f.Name.Name] || ext.immutableOnly && f.Volatility != 'i' {
		return "", false
	}
	if f.Volatility == 'v' {
		return Volatile, true
	}
	return Pure, true
}

// ExtensionType reports whether a base type belongs to a known extension, so that its input and output
// functions do too.
func ExtensionType(t *access.Type) bool {
	_, known := extensions[t.Extension]
	return t.Extension != "" && known
}
