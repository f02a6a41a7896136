package config

import (
	"slices"
	"strings"
	"testing"
)

func TestProblemsOfDoors(t *testing.T) {
	for _, tc := range []struct{ name, door, want string }{
		{"own_beside_files", "tls: {own: true, cert: a.pem, key: b.pem}", "`tls` has a certificate and `own: true`"},
		{"nothing", "tls: {min_version: 1.3}", "`tls` needs both `cert` and `key`\n  hint: or `own: true`"},
		{"names_of_a_file", "tls: {cert: a.pem, key: b.pem, names: [x]}", "`names` are of a certificate that the gateway makes"},
		{"old_version", "tls: {own: true, min_version: 1.1}", "sallyport.yaml:4: `1.1` is no version of TLS that a door can demand\n  hint: 1.2 or 1.3"},
		{"not_a_name", "tls: {own: true, names: ['https://a']}", "`https://a` is neither a host name nor an address"},
		{"no_balancer", "proxy_protocol: {}", "`proxy_protocol` names no load balancer"},
		{"not_a_network", "proxy_protocol: {from: [lb.example.com]}", "`lb.example.com` is neither an address nor a network"},
		{"bits_behind_the_mask", "proxy_protocol: {from: [10.1.2.3/8]}", "the network is 10.0.0.0/8, the address alone 10.1.2.3"},
		{"everybody", "proxy_protocol: {from: [0.0.0.0/0]}", "`0.0.0.0/0` lets everybody say who they are"},
		{"everybody_v6", "proxy_protocol: {from: ['::/0']}", "lets everybody say who they are"},
		{"ipv4_within_ipv6", "proxy_protocol: {from: ['::ffff:10.0.0.1']}", "is neither an address nor a network"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := load(t, strings.Replace(sound, "127.0.0.1:6543}", "127.0.0.1:6543, "+tc.door+"}", 1))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v\nwant %s", err, tc.want)
			}
		})
	}
	t.Run("own_everywhere_without_names", func(t *testing.T) {
		_, err := load(t, strings.Replace(sound, "127.0.0.1:6543}", "0.0.0.0:6543, tls: {own: true}}", 1))
		if err == nil || !strings.Contains(err.Error(), "would have no name that other machines know it by") {
			t.Errorf("got %v", err)
		}
	})
}

func TestNamesOfAnOwnCertificate(t *testing.T) {
	for listen, want := range map[string]string{
		"address: 127.0.0.1:6543, tls: {own: true}":                                      "127.0.0.1 ::1 localhost",
		"address: 0.0.0.0:6543, tls: {own: true, names: [db.example.com, 192.0.2.7]}":    "127.0.0.1 192.0.2.7 ::1 db.example.com localhost",
		"address: 192.0.2.7:6543, tls: {own: true, min_version: 1.3}":                    "127.0.0.1 192.0.2.7 ::1 localhost",
		"address: 0.0.0.0:6543, tls: {own: true}, public_url: https://mcp.example.com/x": "127.0.0.1 ::1 localhost mcp.example.com",
	} {
		door := "pgwire"
		if strings.Contains(listen, "public_url") {
			door = "mcp"
		}
		c, err := load(t, strings.Replace(sound, "pgwire: {address: 127.0.0.1:6543}", door+": {"+listen+"}", 1))
		if err != nil {
			t.Errorf("%s: %v", listen, err)
			continue
		}
		var got *TLS
		if l := c.File.Listen; door == "mcp" {
			got = l.MCP.TLS
		} else {
			got = l.PGWire.TLS
		}
		if s := strings.Join(got.Names, " "); s != want {
			t.Errorf("%s: names %s", listen, s)
		}
	}
}

func TestBalancersAreNetworks(t *testing.T) {
	c, err := load(t, strings.Replace(sound, "127.0.0.1:6543}", "127.0.0.1:6543, proxy_protocol: {from: [10.0.0.0/8, 192.0.2.7, 'fd00::/8']}}", 1))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range c.File.Listen.PGWire.ProxyProtocol.Prefixes() {
		got = append(got, p.String())
	}
	if !slices.Equal(got, []string{"10.0.0.0/8", "192.0.2.7/32", "fd00::/8"}) {
		t.Errorf("got %v", got)
	}
	if p := (*ProxyProtocol)(nil).Prefixes(); p != nil {
		t.Errorf("without any: %v", p)
	}
}
