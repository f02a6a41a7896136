package gateway

import "sallyport/internal/access"

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
	}
	return nil
}
