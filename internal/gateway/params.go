package gateway

import (
	"sallyport/internal/access"
	"sallyport/sqlguard/registry"
)

// paramTypes refuses parameters declared to be of a type that runs code of the database's own users when a
// value is read into it: no statement names it, so no permission to call was asked for.
func (sc *scope) paramTypes(oids []uint32) error {
	if sc.unrestricted.Effect == access.Allow {
		return nil
	}
	for _, oid := range oids {
		if t := sc.snap.cat.TypeByOID[oid]; t != nil && len(t.Calls) > 0 {
			return &access.Error{Kind: access.Denied, Code: "42501", Message: "a parameter of type " + t.Name.String() + " would call " + t.Calls[0].Function.String(),
				Hint: "leave the parameter's type open and cast it in the statement, $1::" + t.Name.Name + ", which asks for the permission"}
		}
		if cast := sc.castFrom(oid); cast != nil {
			return &access.Error{Kind: access.Denied, Code: "42501", Message: "a parameter of this type could call the cast function " + cast.Function.String(),
				Hint: "leave the parameter's type open, or cast it in the statement, which asks for the permission"}
		}
	}
	return nil
}

// castFrom finds a cast by code of the database's own users that a value of a type of theirs, or one made of it, can go
// through where no name says so.
func (sc *scope) castFrom(oid uint32) *access.Cast {
	cat := sc.snap.cat
	for t := cat.TypeByOID[oid]; t != nil; {
		for i, c := range cat.Casts {
			if c.Source != t.OID || c.Source < firstUserOID {
				continue
			}
			for _, f := range cat.Functions[c.Function] {
				if _, known := registry.ExtensionFunction(f); !known {
					return &cat.Casts[i]
				}
			}
		}
		below := t.Elem // of a range, too
		if t.Kind == 'd' {
			below = t.Base
		}
		t = cat.TypeByOID[below]
	}
	return nil
}
