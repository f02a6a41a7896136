package oidc

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/access"
)

const (
	// MostActors is how many may have acted for somebody, one for the other.
	MostActors   = 8
	maxGroups    = 1000
	maxAttribute = 1024 // bytes
)

// person makes the principal that claims speak of. client is whom an access token was given to, "" where it does not say.
func (p *provider) person(ctx context.Context, claims map[string]any, client string, idToken bool) (Said, error) {
	said := Said{Provider: p.Name}
	who := &said.Principal
	sub, err := text(claims, "sub")
	if err != nil || sub == "" {
		return said, refuse(Subject, "sub is missing, or is no string of at most %d bytes", maxString)
	}
	if claims, err = p.elsewhere.add(ctx, claims); err != nil {
		return said, err
	}
	who.Kind = access.Human
	own := client != "" && isOwn(claims, sub, client)
	switch {
	case own && !slices.Contains(p.Agents, client):
		return said, refuse(Subject, "%q has a token of its own, and is none of `agents`", client).hint("name it in `agents` of the provider where it may come in as an agent")
	case own:
		who.Kind, who.Name = access.Agent, p.Prefix+client
	default:
		name, err := p.userName(claims)
		if err != nil {
			return said, err
		}
		who.Name = p.Prefix + name
	}
	if !access.NameForm.MatchString(who.Name) {
		return said, refuse(Subject, "%q cannot be a principal's name", shown(who.Name)).hint("names are letters, digits, and _ . @ - (at most 63, the prefix included): take another claim as `user`")
	}
	if !own && slices.Contains(p.agentNames(), who.Name) {
		return said, refuse(Subject, "%q is the name of an agent, and this is not its own token", who.Name)
	}
	if said.Groups, who.Groups, err = p.groupsOf(claims); err != nil {
		return said, err
	}
	if who.Attributes, err = p.attributesOf(claims); err != nil {
		return said, err
	}
	chain, err := p.chain(claims, client, own, idToken)
	if err != nil {
		return said, err
	}
	if len(chain) > 0 {
		who.Actor, who.Behind = chain[0], chain[1:]
	}
	return said, nil
}

// isOwn reports whether a client got a token for itself (client credentials) rather than for somebody: RFC 9068 2.2 has the client as subject.
// Auth0 adds "@clients", Keycloak has a service account of that name, and Entra ID says so in idtyp. A name counts only where nobody has logged
// in: people may be able to choose theirs.
func isOwn(claims map[string]any, sub, client string) bool {
	username, _ := claims["preferred_username"].(string)
	_, login := claims["auth_time"]
	_, session := claims["sid"]
	return sub == client || sub == client+"@clients" || claims["idtyp"] == "app" || !login && !session && username == "service-account-"+strings.ToLower(client)
}

func (p *provider) agentNames() []string {
	var out []string
	for _, a := range p.Agents {
		out = append(out, p.Prefix+a)
	}
	return out
}

func (p *provider) userName(claims map[string]any) (string, error) {
	v, present, ok := p.user.In(claims)
	name, isString := v.(string)
	if !present || !ok || !isString || name == "" {
		return "", refuse(Subject, "the claim %s, which names the user, is missing or no string", p.path(p.UserClaim))
	}
	if len(p.user) == 1 && p.user[0] == "email" && claims["email_verified"] != true {
		return "", refuse(Subject, "the address %q is not verified (email_verified is not true)", shown(name))
	}
	return name, nil
}

func (p *provider) path(s string) string {
	if s == "" {
		return "sub"
	}
	return s
}

// groupsOf gives the groups as the provider names them, and as policies do. An array has a group an element; a string has one or several with
// spaces between them, as scope has. Who has no such claim is in no group. With a group_map only those count that are in it.
func (p *provider) groupsOf(claims map[string]any) (said, taken []string, err error) {
	if p.groups == nil {
		return nil, nil, nil
	}
	v, present, ok := p.groups.In(claims)
	switch list := v.(type) {
	case nil:
		if present || !ok {
			return nil, nil, refuse(Claims, "on the way of the groups claim %s is something that is no object", p.GroupsClaim)
		}
		return nil, nil, nil
	case string:
		said = words(list)
	case []any:
		for _, e := range list {
			s, ok := e.(string)
			if !ok {
				return nil, nil, refuse(Claims, "the groups claim %s has something that is no string", p.GroupsClaim)
			}
			said = append(said, s)
		}
	default:
		return nil, nil, refuse(Claims, "the groups claim %s is neither an array of strings nor a string", p.GroupsClaim)
	}
	if len(said) > maxGroups {
		return nil, nil, refuse(Claims, "%d groups; at most %d are taken", len(said), maxGroups)
	}
	for _, g := range said {
		if g == "" || len(g) > maxString || strings.ContainsFunc(g, control) {
			return nil, nil, refuse(Claims, "a group's name is empty, longer than %d bytes, or has control characters", maxString)
		}
		if p.Groups == nil {
			taken = append(taken, g)
		} else if to, ok := p.Groups[g]; ok {
			taken = append(taken, to)
		}
	}
	slices.Sort(said)
	slices.Sort(taken)
	return slices.Compact(said), slices.Compact(taken), nil
}

func (p *provider) attributesOf(claims map[string]any) (map[string]string, error) {
	var out map[string]string
	for name, path := range p.attributes {
		v, present, ok := path.In(claims)
		if !present && ok {
			continue // conditions on rows that need it refuse
		}
		var s string
		switch v := v.(type) {
		case string:
			s = v
		case json.Number:
			s = v.String()
		case bool:
			s = fmt.Sprint(v)
		default:
			return nil, refuse(Claims, "the attribute %s is neither a string, a number nor a truth value", name)
		}
		if len(s) > maxAttribute || strings.ContainsFunc(s, control) {
			return nil, refuse(Claims, "the attribute %s has control characters, or more than %d bytes", name, maxAttribute)
		}
		if out == nil {
			out = map[string]string{}
		}
		out[name] = s
	}
	return out, nil
}

// chain lists who acts for the subject, the one who acts now first (RFC 8693 4.1). Only actors of the configuration are taken, wherever in the
// chain they stand. A client of `actors` that has a person's token acts for them, whether or not the token says so. An ID token was given to
// the gateway itself. Their names have the provider's prefix, as all that it names.
func (p *provider) chain(claims map[string]any, client string, own, idToken bool) ([]string, error) {
	var out []string
	for act, there := claims["act"]; there; {
		if len(out) == MostActors {
			return nil, refuse(Actor, "more than %d actors, one behind the other", MostActors)
		}
		m, ok := act.(map[string]any)
		if !ok {
			return nil, refuse(Actor, "act is no object")
		}
		if iss, there := m["iss"]; there && iss != p.Issuer {
			return nil, refuse(Actor, "the actor is of another issuer")
		}
		id, err := text(m, "client_id")
		if err == nil && id == "" {
			id, err = text(m, "sub")
		}
		if err != nil || id == "" {
			return nil, refuse(Actor, "act has neither sub nor client_id")
		}
		if !slices.Contains(p.Actors, id) {
			return nil, refuse(Actor, "%q acts for somebody, and is none of `actors`", shown(id)).hint("name it in `actors` of the provider where it may act for people")
		}
		out = append(out, p.Prefix+id)
		act, there = m["act"]
	}
	if own || slices.Contains(out, p.Prefix+client) {
		return out, nil
	}
	switch {
	case client != "" && slices.Contains(p.Actors, client):
		out = append(out, p.Prefix+client) // first where nobody else acts; else it is recorded behind
	case idToken || client != "" && slices.Contains(p.ownClients(), client) || slices.Contains(p.Clients, AnyClient):
	default:
		// Taken for the person's own hand, it would be under fewer rules than what the configuration knows.
		return nil, refuse(Actor, "the token was given to %q, which is none of `clients` or `actors`", shown(client)).
			hint("name it in `actors` of the provider where it acts for people, in `clients` where it is a tool in their own hands")
	}
	return out, nil
}

// AnyClient in `clients` takes every program that is not in `actors` for a tool in its user's own hands.
const AnyClient = "*"

// ownClients are the programs that are a person's own hands.
func (p *provider) ownClients() []string {
	return append([]string{p.ClientID, p.LoginClientID}, p.Clients...)
}
