package gateway

import (
	"context"

	"sallyport/audit/office"
	"sallyport/internal/access"
)

// Office takes orders about the record of this gateway. It is for the machine's own people, who reach it through the
// data directory, and for no door. It must not be used once Close is called.
func (g *Gateway) Office(rules office.Rules) *office.Office {
	return office.New(g.log, rules, func(c access.Credentials) (access.Principal, error) {
		p, err := g.people.Verify(context.Background(), c)
		if err == nil {
			err = g.brokeGlass(Login{Client: "the gateway's machine"}, p)
		}
		return p, err
	})
}
