package gateway

import "sallyport/audit/office"

// Office takes orders about the record of this gateway. It is for the machine's own people, who reach it through the
// data directory, and for no door. It must not be used once Close is called.
func (g *Gateway) Office(rules office.Rules) *office.Office {
	return office.New(g.log, rules, g.people.Verify)
}
