package policy

import (
	"strings"

	cedar "github.com/cedar-policy/cedar-go"

	"sallyport/internal/access"
)

// Entity types of the schema.
const (
	typeAction     = cedar.EntityType("Action")
	typeUser       = cedar.EntityType("User")
	typeAgent      = cedar.EntityType("Agent")
	typeGroup      = cedar.EntityType("Group")
	typeConnection = cedar.EntityType("Connection")
	typeSchema     = cedar.EntityType("Schema")
	typeTable      = cedar.EntityType("Table")
	typeColumn     = cedar.EntityType("Column")
	typeLabel      = cedar.EntityType("Label")
	typeFunction   = cedar.EntityType("Function")
	typeSetting    = cedar.EntityType("Setting")
)

// Resource is what somebody reaches for, with everything that it is in. Make one with Connection,
// Schema, Table, Column, Function or Setting; the zero Resource is denied to everybody.
type Resource struct {
	entity     cedar.Entity
	definition string // of a Function, see Defined
}

// String gives the resource as it is written in a policy: Table::"shop.public.orders".
func (r Resource) String() string { return r.entity.UID.String() }

// Connection is a connection as a whole: connecting, notifying, sequences, being unrestricted.
func Connection(name string) Resource {
	return Resource{entity: cedar.Entity{
		UID:        connectionUID(name),
		Attributes: cedar.NewRecord(cedar.RecordMap{"name": cedar.String(name)}),
	}}
}

// Schema is a schema, the resource of DDL that makes or drops it.
func Schema(connection, name string) Resource {
	return Resource{entity: cedar.Entity{
		UID:        schemaUID(connection, name),
		Parents:    cedar.NewEntityUIDSet(connectionUID(connection)),
		Attributes: cedar.NewRecord(cedar.RecordMap{"name": cedar.String(name)}),
	}}
}

// Table is a relation of any kind: table, view, materialised view, sequence.
func Table(connection string, n access.Name) Resource {
	return Resource{entity: cedar.Entity{
		UID:     tableUID(connection, n),
		Parents: cedar.NewEntityUIDSet(schemaUID(connection, n.Schema), connectionUID(connection)),
		Attributes: cedar.NewRecord(cedar.RecordMap{
			"schema": cedar.String(n.Schema), "name": cedar.String(n.Name),
		}),
	}}
}

// Column is one column of a relation with its labels.
func Column(connection string, n access.Name, column string, labels []access.Label) Resource {
	parents := []cedar.EntityUID{tableUID(connection, n), schemaUID(connection, n.Schema), connectionUID(connection)}
	for _, l := range labels {
		parents = appendLabel(parents, l)
	}
	return Resource{entity: cedar.Entity{
		UID:     cedar.NewEntityUID(typeColumn, cedar.String(id(connection, n.Schema, n.Name, column))),
		Parents: cedar.NewEntityUIDSet(parents...),
		Attributes: cedar.NewRecord(cedar.RecordMap{
			"schema": cedar.String(n.Schema), "table": cedar.String(n.Name),
			"name": cedar.String(column), "labelled": cedar.Boolean(len(labels) > 0),
		}),
	}}
}

// Function is a function outside pg_catalog; all overloads of a name are one resource.
func Function(connection string, n access.Name) Resource {
	return Resource{entity: cedar.Entity{
		UID:     cedar.NewEntityUID(typeFunction, cedar.String(id(connection, n.Schema, n.Name))),
		Parents: cedar.NewEntityUIDSet(schemaUID(connection, n.Schema), connectionUID(connection)),
		Attributes: cedar.NewRecord(cedar.RecordMap{
			"schema": cedar.String(n.Schema), "name": cedar.String(n.Name),
		}),
	}}
}

// Defined is a function whose definition is known, as access.Catalog.Definition gives it. Permits with @definition
// concern no other.
func (r Resource) Defined(definition string) Resource {
	r.definition = definition
	return r
}

// Definition is what Defined was told, or "".
func (r Resource) Definition() string { return r.definition }

// Setting is a run-time parameter of a session on a connection, lower-case.
func Setting(connection, name string) Resource {
	return Resource{entity: cedar.Entity{
		UID:        cedar.NewEntityUID(typeSetting, cedar.String(name)),
		Parents:    cedar.NewEntityUIDSet(connectionUID(connection)),
		Attributes: cedar.NewRecord(cedar.RecordMap{"name": cedar.String(name)}),
	}}
}

func connectionUID(name string) cedar.EntityUID {
	return cedar.NewEntityUID(typeConnection, cedar.String(id(name)))
}

func schemaUID(connection, name string) cedar.EntityUID {
	return cedar.NewEntityUID(typeSchema, cedar.String(id(connection, name)))
}

func tableUID(connection string, n access.Name) cedar.EntityUID {
	return cedar.NewEntityUID(typeTable, cedar.String(id(connection, n.Schema, n.Name)))
}

// appendLabel adds a label and the labels that it is in: pii.email is in pii.
func appendLabel(uids []cedar.EntityUID, l access.Label) []cedar.EntityUID {
	for s := string(l); s != ""; {
		uids = append(uids, cedar.NewEntityUID(typeLabel, cedar.String(s)))
		dot := strings.LastIndexByte(s, '.')
		if dot < 0 {
			break
		}
		s = s[:dot]
	}
	return uids
}

// id joins the parts of a name. A part that holds a dot or a quote is quoted as in SQL, so that two
// different names never share an id: whoever may create tables must not be able to make one whose
// name reads like a column of another.
func id(parts ...string) string {
	var b strings.Builder
	for i, p := range parts {
		if i > 0 {
			b.WriteByte('.')
		}
		if p == "" || strings.ContainsAny(p, `."`) {
			b.WriteByte('"')
			b.WriteString(strings.ReplaceAll(p, `"`, `""`))
			b.WriteByte('"')
			continue
		}
		b.WriteString(p)
	}
	return b.String()
}

// principalEntity gives the entity of p, or false for nobody.
func principalEntity(p access.Principal) (cedar.Entity, bool) {
	var t cedar.EntityType
	switch p.Kind {
	case access.Human:
		t = typeUser
	case access.Agent:
		t = typeAgent
	default:
		return cedar.Entity{}, false
	}
	if p.Name == "" {
		return cedar.Entity{}, false
	}
	groups := make([]cedar.EntityUID, len(p.Groups))
	for i, g := range p.Groups {
		groups[i] = cedar.NewEntityUID(typeGroup, cedar.String(g))
	}
	return cedar.Entity{
		UID:        cedar.NewEntityUID(t, cedar.String(p.Name)),
		Parents:    cedar.NewEntityUIDSet(groups...),
		Attributes: cedar.NewRecord(cedar.RecordMap{"name": cedar.String(p.Name)}),
	}, true
}

// Context is what is known about the circumstances of a request.
type Context struct {
	Door      access.Door
	Class     access.Class // class and tag of the statement; not for connect, unrestricted, reveal, lookup
	Tag       string
	HasReason bool
	Reason    string // as claimed
}

// record gives the context as the schema declares it for an action: what an action's context does
// not have, its policies cannot depend on.
func (c Context) record(action access.Action, p access.Principal) cedar.Record {
	m := cedar.RecordMap{"door": cedar.String(c.Door), "actor": cedar.String(p.Actor), "actors": set(p.Chain()),
		"acr": cedar.String(p.Proof.ACR), "issuer": cedar.String(p.Proof.Issuer), "scopes": set(p.Proof.Scopes)}
	switch action {
	case access.ActConnect, access.ActUnrestricted:
		return cedar.NewRecord(m)
	}
	m["has_reason"] = cedar.Boolean(c.HasReason)
	switch action {
	case access.ActReveal, access.ActLookup, access.ActPredicate, access.ActOrder, access.ActGroup, access.ActAggregate:
		return cedar.NewRecord(m)
	}
	m["reason"] = cedar.String(c.Reason)
	m["class"] = cedar.String(c.Class)
	m["tag"] = cedar.String(c.Tag)
	return cedar.NewRecord(m)
}

func set(names []string) cedar.Set {
	values := make([]cedar.Value, len(names))
	for i, n := range names {
		values[i] = cedar.String(n)
	}
	return cedar.NewSet(values...)
}
