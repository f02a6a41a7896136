package web

import "sallyport/internal/gateway"

// glassLogins are the log-ins by break glass that nobody has looked at: they are for auditors and operators.
func (v *visit) glassLogins() ([]gateway.GlassLogin, error) {
	if !v.auditor && !v.operator {
		return nil, nil
	}
	return v.s.core.GlassLogins()
}

// lookAtGlass takes the visitor's word that they have looked at one.
func (v *visit) lookAtGlass() error {
	if !v.auditor && !v.operator {
		return errNotFound
	}
	if err := v.s.core.LookAtGlassLogin(v.who, v.r.RemoteAddr, v.r.PathValue("id")); err != nil {
		return err
	}
	v.s.log.Info("log-in by break glass looked at", "door", "web", "by", v.who.Name, "login", v.r.PathValue("id"))
	return v.redirect("/overview")
}
