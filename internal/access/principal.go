package access

// PrincipalKind says whether a principal is a person or a program.
type PrincipalKind string

const (
	Human PrincipalKind = "human"
	Agent PrincipalKind = "agent"
)

// Principal is who is accountable for a session. Only the core makes one, from Credentials.
type Principal struct {
	Name   string
	Kind   PrincipalKind
	Groups []string // sorted, without duplicates
	Actor  string   // the agent acting for Name (RFC 8693 "act"); empty when Name acts itself
	// Behind are who acted before Actor (nested "act"), the nearest first. They are recorded and may not approve; they permit nothing.
	Behind []string
	Proof  Proof
	// Attributes are what else is known about Name, for conditions on rows: principal.tenant.
	Attributes map[string]string
}

// Same reports whether p and o are one: the same name, by the word of the same provider, for the same account there.
func (p Principal) Same(o Principal) bool {
	return p.Name != "" && p.Name == o.Name && p.Proof.Issuer == o.Proof.Issuer && p.Proof.Subject == o.Proof.Subject
}

// Attribute gives what a condition on rows knows as principal.NAME: the name itself, or one of Attributes.
func (p Principal) Attribute(name string) (string, bool) {
	if name == "name" {
		return p.Name, p.Name != ""
	}
	v, ok := p.Attributes[name]
	return v, ok
}

// Credentials are what a door hands to the core. The core alone turns them into a Principal.
type Credentials interface{ credentials() }

// Bearer is a token presented at an HTTP door, without its "Bearer " prefix.
type Bearer string

func (Bearer) credentials() {}

// Password is a user name with a secret in the clear, as stdio doors and tests present them.
type Password struct{ User, Secret string }

func (Password) credentials() {}

// Conversation marks a finished challenge-response (SCRAM) held by the core. Embed it.
type Conversation struct{}

func (Conversation) credentials() {}

// LocalPrincipal is a principal that the configuration file declares.
type LocalPrincipal struct {
	Name       string
	Kind       PrincipalKind
	Groups     []string
	Attributes map[string]string
	Secret     string       // SCRAM-SHA-256 verifier as PostgreSQL stores it (RFC 5803 layout), or ""
	Tokens     []LocalToken // bearer tokens, hashed
	// Expires is when its secret and its tokens end (RFC 3339); empty is never.
	Expires string
	// BreakGlass says that it is for when nobody else can come in: each of its log-ins is told of.
	BreakGlass bool
}

// LocalToken is a static bearer token. Only its hash is kept.
type LocalToken struct {
	SHA256  string // hex of sha256(token)
	Expires string // RFC 3339; empty never expires
	Note    string
	Scopes  []string // the actions that it is good for; nil: all that its principal may do
}

// Door names an entrance.
type Door string

const (
	DoorPGWire Door = "pgwire"
	DoorMCP    Door = "mcp"
	DoorWeb    Door = "web" // for people who decide and watch; it opens no sessions to databases
)
