package access

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// Name is a schema-qualified name, folded as the server folds it.
type Name struct{ Schema, Name string }

func (n Name) String() string { return n.Schema + "." + n.Name }

// Catalog is a snapshot of what a database defines. It is immutable once made and shared.
type Catalog struct {
	Version       string // hex digest over the content; part of the plan key and of each record
	Connection    string // name of the connection in the configuration
	Database      string
	ServerVersion int // server_version_num, e.g. 150018
	Schemas       map[string]bool
	Relations     map[Name]*Relation
	// Functions has every function outside pg_catalog, by name. Built-ins are in the registry.
	Functions map[Name][]*Function
	// Operators has every operator outside pg_catalog, by operator name ("+"), any schema.
	Operators map[string][]*Operator
	Types     map[Name]*Type // outside pg_catalog
	TypeByOID map[uint32]*Type
	// Casts lists casts whose function is outside pg_catalog.
	Casts []Cast
	// Polymorphic has the names of built-in functions whose result is of a type that follows from their arguments. It
	// is nil where there are no Casts, for which alone it is of interest.
	Polymorphic map[string]bool
	// Classes lists the functions of default operator classes that are outside pg_catalog.
	Classes []OperatorClass
}

// OperatorClass is a function by which the server compares values of a type: what sorting, grouping,
// joining or DISTINCT calls without an operator being named.
type OperatorClass struct {
	Type     uint32
	Function Name
}

// RelationKind is pg_class.relkind.
type RelationKind byte

const (
	Table        RelationKind = 'r'
	Partitioned  RelationKind = 'p'
	View         RelationKind = 'v'
	MatView      RelationKind = 'm'
	ForeignTable RelationKind = 'f'
	Sequence     RelationKind = 'S'
	CompositeRel RelationKind = 'c'
)

// Relation is a row of pg_class with what the guard and the masks need of it.
type Relation struct {
	OID        uint32
	Name       Name
	Kind       RelationKind
	Columns    []Column // by attribute number; dropped ones are absent
	Definition string   // views: pg_get_viewdef under an empty search_path
	Parents    []Name   // inheritance and partitioning (pg_inherits)
	Comment    string
	Triggers   []Name // functions of enabled user triggers
	Rules      bool   // has rewrite rules beyond a view's own
	// PartitionKey names the columns that decide which partition holds a row, for partitioned tables;
	// PartitionExpr is true where an expression takes part, which may look at any column.
	PartitionKey  []string
	PartitionExpr bool
	RowSecurity   bool
	// Secured is true where row security applies to the gateway's own role. Policies are the expressions of
	// its policies, as pg_get_expr prints them under an empty search_path.
	Secured  bool
	Policies []string
	// Constraints that can betray a value by failing: unique, exclusion, check, foreign keys and
	// expression indexes. Each lists the columns it looks at; empty means unknown, so all.
	Constraints []Constraint
	// Referenced lists the foreign keys of this and other relations that refer to this one.
	Referenced []Reference
	// Calls are made by the server itself when rows are written.
	Calls []Call
}

// Call is a function of the database's own users that the server calls by itself.
type Call struct {
	Function Name
	By       Caller
	Name     string // what the caller is called, where it has a name
}

func (c Call) String() string {
	if c.Name == "" {
		return string(c.By)
	}
	return string(c.By) + " " + c.Name
}

// Caller is what the server calls a function for.
type Caller string

const (
	ByDefault      Caller = "default of column"
	ByGenerated    Caller = "generated column"
	ByConstraint   Caller = "constraint"
	ByIndex        Caller = "index"
	ByTrigger      Caller = "trigger" // its condition; Relation.Triggers has its function
	ByPartitionKey Caller = "partition key"
	ByType         Caller = "type of column"
	ByDomain       Caller = "domain"
)

// Reference is a foreign key as the relation that it refers to sees it.
type Reference struct {
	Name     string
	By       Name     // the relation that the foreign key belongs to
	Columns  []string // its columns there
	Keys     []string // what they refer to here
	OnDelete byte     // pg_constraint.confdeltype: a no action, r restrict, c cascade, n set null, d set default
	OnUpdate byte     // pg_constraint.confupdtype
}

// Below lists a relation and all that inherit from it or are partitions of it: a statement about a
// relation acts on their rows too.
func (c *Catalog) Below(rel *Relation) []*Relation {
	out := []*Relation{rel}
	for i := 0; i < len(out); i++ {
		for _, r := range c.Relations {
			if slices.Contains(r.Parents, out[i].Name) && !slices.Contains(out, r) {
				out = append(out, r)
			}
		}
	}
	slices.SortFunc(out[1:], func(a, b *Relation) int { return strings.Compare(a.Name.String(), b.Name.String()) })
	return out
}

// Definition identifies what the functions of a name do, all overloads together: "sha256:" and a hex digest over the
// definitions, and for aggregates those of the functions that they are made of. What these call by name is not
// part of it. It is "" where there is no function of that name, or too little is known of one.
func (c *Catalog) Definition(name Name) string {
	if len(c.Functions[name]) == 0 {
		return ""
	}
	var parts []string
	seen := map[Name]bool{}
	for names := []Name{name}; len(names) > 0; names = names[1:] {
		if seen[names[0]] {
			continue
		}
		seen[names[0]] = true
		for _, f := range c.Functions[names[0]] {
			if f.Digest == "" {
				return ""
			}
			parts = append(parts, f.Digest)
			names = append(names, f.Parts...)
		}
	}
	slices.Sort(parts)
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Constraint is a constraint or unique index of a relation.
type Constraint struct {
	Name    string
	Type    byte // pg_constraint.contype, or 'i' for an index with expressions or a predicate
	Columns []string
	// References and Keys say what a foreign key refers to: Columns[i] to Keys[i].
	References Name
	Keys       []string
}

// Column is a row of pg_attribute.
type Column struct {
	Num       int16
	Name      string
	Type      string // format_type(atttypid, atttypmod), schema-qualified outside pg_catalog
	TypeOID   uint32
	NotNull   bool
	Comment   string
	Default   string // pg_get_expr of the default or generation expression
	Generated bool
	Identity  bool
}

// Column finds a column by its folded name, or gives nil.
func (r *Relation) Column(name string) *Column {
	for i := range r.Columns {
		if r.Columns[i].Name == name {
			return &r.Columns[i]
		}
	}
	return nil
}

// Function is a row of pg_proc outside pg_catalog.
type Function struct {
	Name       Name
	Args       string // pg_get_function_identity_arguments
	Language   string
	Kind       byte // pg_proc.prokind: f, p, a, w
	Volatility byte // i, s, v
	Security   bool // SECURITY DEFINER
	ReturnsSet bool
	ReturnType uint32   // pg_proc.prorettype
	ArgTypes   []uint32 // pg_proc.proargtypes
	OutNames   []string // names of OUT, INOUT and TABLE arguments
	OutTypes   []uint32 // of the same
	ArgNames   []string // of those in ArgTypes, "" for one without
	Defaults   bool     // arguments have defaults
	Config     []string // pg_proc.proconfig: settings while it runs
	// Source is the body of functions in SQL and PL/pgSQL. Standard says that it is of SQL-standard form (RETURN, BEGIN
	// ATOMIC): as pg_get_function_sqlbody prints it under an empty search_path.
	Source    string
	Standard  bool
	Digest    string // hex SHA-256 over all that defines it
	Parts     []Name // of an aggregate: the functions that it is made of
	Extension string // owning extension, or ""
}

// Operator is a row of pg_operator outside pg_catalog.
type Operator struct {
	Name     Name
	Function Name
}

// Cast is a row of pg_cast whose function is outside pg_catalog.
type Cast struct {
	Source, Target uint32
	Function       Name
	Context        byte // pg_cast.castcontext: i implicit, a on assignment too, e when written only
}

// Type is a row of pg_type.
type Type struct {
	OID      uint32
	Name     Name
	Kind     byte   // typtype: b base, c composite, d domain, e enum, p pseudo, r range, m multirange
	Category byte   // typcategory
	Elem     uint32 // of an array, or the subtype of a range
	Base     uint32 // domain: typbasetype
	BaseType string // domain: format_type(typbasetype, typtypmod)
	NotNull  bool   // domain
	Checks   bool   // domain: has check constraints
	// CheckSQL are a domain's check constraints as pg_get_expr prints them under an empty search_path. It is
	// empty for domains with a collation of their own, by which nobody else would decide alike.
	CheckSQL []string
	Relation Name // composite: the relation it belongs to
	// Extension is the owning extension, or "".
	Extension string
	// Calls are made by the server itself when a value of the type is made: by domains, also those that it
	// is composed of.
	Calls []Call
}
