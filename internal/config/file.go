// Package config reads Sallyport's one configuration file and turns it into the nouns of
// internal/access. Start with Load.
//
// The file is strict YAML: an unknown or repeated key, a wrong type, a dangling reference or a
// missing secret is a Problem with file, line and a hint, and all problems are reported at once.
// Nothing is filled in silently where the choice matters: no door opens that the file does not
// name, and a door on a public address without TLS is refused.
//
// Secrets stay out of the file: upstream DSNs and password verifiers can be given by environment
// variable or by file, tokens and passwords are kept as hashes only.
//
// It trusts the file and whoever may write it. It does not look at policies (sqlguard/policy does)
// and connects to nothing (`sallyport check` does, through the gateway).
package config

import "time"

// File is the configuration file, key by key. Relative paths are relative to the file's folder.
type File struct {
	// DataDir is where the record is kept. Only one gateway may use it at a time.
	DataDir string `yaml:"data_dir"`

	// Listen names the doors to open. A door that is not named stays shut.
	Listen Listen `yaml:"listen"`

	// Connections are the upstream databases, by the name that clients use as database name.
	Connections map[string]Connection `yaml:"connections"`

	// Principals are who may come in, by name.
	Principals map[string]Principal `yaml:"principals"`

	// Labels say what columns hold.
	Labels []LabelRule `yaml:"labels"`

	// Masks say how a labelled column looks to those who may not see it raw, by label. A label
	// without a mask is redacted.
	Masks map[string]Mask `yaml:"masks"`

	// Policies are Cedar files or patterns (policies/*.cedar). Nothing is allowed without a permit.
	Policies []string `yaml:"policies"`

	// Purposes are what personal data is used for, for policies to refer to.
	Purposes []Purpose `yaml:"purposes"`

	// CatalogRefresh is the longest age of what we know about a database's tables and views.
	// Default 60s.
	CatalogRefresh Duration `yaml:"catalog_refresh"`

	// SecretsRefresh is how often DSNs, and the secrets of providers, exporters and channels, are read again. Default 0: on SIGHUP, and DSNs when a database
	// refuses one.
	SecretsRefresh Duration `yaml:"secrets_refresh"`

	// Detectors adjust the second line: what hides personal data in columns without a label.
	Detectors Detectors `yaml:"detectors"`

	// Limits guard the gateway's own memory and patience.
	Limits Limits `yaml:"limits"`

	// Audit says how the record is kept, whether it is indexed, and who vouches for it from outside.
	Audit Audit `yaml:"audit"`

	// Approvals say how statements that wait for a person are handled.
	Approvals Approvals `yaml:"approvals"`

	// Identity says which providers people and agents are proven by, beside Principals.
	Identity Identity `yaml:"identity"`

	// Notify names the ways to people who are told of requests for approval.
	Notify []Notify `yaml:"notify"`

	// Export names the places that records are sent to, beside the record itself.
	Export []Export `yaml:"export"`
}

// Listen names the doors.
type Listen struct {
	PGWire *PGWire `yaml:"pgwire"`
	MCP    *MCP    `yaml:"mcp"`
	Web    *Web    `yaml:"web"`
}

// Web is the door for people who decide, watch and look back, with a browser or `sallyport review`.
type Web struct {
	// Address is host:port, e.g. 127.0.0.1:6545.
	Address string `yaml:"address"`
	// PublicURL is how people reach it, where a proxy or a name stands before it; links in notices and messages begin with it.
	PublicURL string `yaml:"public_url"`
	// Auditors are the groups whose members may look at every session, and Operators those who may end one. Everybody else
	// sees what they asked for, and what they are asked to decide about.
	Auditors  []string `yaml:"auditors"`
	Operators []string `yaml:"operators"`
	// StepUp is how long after their password a reviewer approves without giving it anew, at most 1h; 0s is never. Default 5m.
	StepUp *Duration `yaml:"step_up"`
	// TLS serves HTTPS.
	TLS *TLS `yaml:"tls"`
	// Insecure allows a public address without TLS; see pgwire.
	Insecure bool `yaml:"insecure"`
	// ProxyProtocol is for a door behind a load balancer.
	ProxyProtocol *ProxyProtocol `yaml:"proxy_protocol"`
}

// PGWire is the door for PostgreSQL clients.
type PGWire struct {
	// Address is host:port, e.g. 127.0.0.1:6543.
	Address string `yaml:"address"`
	// TLS offers TLS to clients.
	TLS *TLS `yaml:"tls"`
	// RequireTLS refuses clients that do not use it.
	RequireTLS bool `yaml:"require_tls"`
	// Insecure allows a public address without TLS: behind a proxy that terminates it, or on a
	// network that you trust with everything the masks let through.
	Insecure bool `yaml:"insecure"`
	// ProxyProtocol is for a door behind a load balancer.
	ProxyProtocol *ProxyProtocol `yaml:"proxy_protocol"`
}

// MCP is the door for agents: MCP over streamable HTTP at /mcp.
type MCP struct {
	// Address is host:port, e.g. 127.0.0.1:6544.
	Address string `yaml:"address"`
	// PublicURL is how agents reach the door, where a proxy or a name stands before it.
	PublicURL string `yaml:"public_url"`
	// Origins are the web origins (https://app.example.com) whose pages may call the door. Programs
	// send no Origin and need no entry.
	Origins []string `yaml:"origins"`
	// TLS serves HTTPS.
	TLS *TLS `yaml:"tls"`
	// Insecure allows a public address without TLS; see pgwire.
	Insecure bool `yaml:"insecure"`
	// ProxyProtocol is for a door behind a load balancer.
	ProxyProtocol *ProxyProtocol `yaml:"proxy_protocol"`
}

// Connection is one upstream database. Exactly one of DSN, DSNEnv, DSNFile and DSNCommand is given.
type Connection struct {
	// Driver is postgres.
	Driver string `yaml:"driver"`
	// DSN is a connection string. Prefer one of the next two where it holds a password.
	DSN string `yaml:"dsn"`
	// DSNEnv names an environment variable that holds it.
	DSNEnv string `yaml:"dsn_env"`
	// DSNFile names a file that holds it.
	DSNFile string `yaml:"dsn_file"`
	// DSNCommand is a program with its arguments, run without a shell, that prints it: a client of a store of secrets. As DSNFile it is
	// asked again on SIGHUP, when the database refuses the log-in, and every SecretsRefresh.
	DSNCommand []string `yaml:"dsn_command"`
	// Insecure takes what a DSN says of sslmode where that leaves out some of the checks of another machine's certificate.
	Insecure bool `yaml:"insecure"`
	// LabelsFile says column by column what this database holds; `sallyport classify` writes it, people decide
	// in it. See LabelsFile.
	LabelsFile string `yaml:"labels_file"`
	// Unjudged says what becomes of a column that may hold text and that nobody has judged: mask, or show.
	// Default mask: whoever keeps a labels file wants to decide before data shows. Needs labels_file.
	Unjudged string `yaml:"unjudged"`
}

// Principal is somebody who may log in. `sallyport principal add` and `sallyport token new` write
// these.
type Principal struct {
	// Kind is human or agent.
	Kind string `yaml:"kind"`
	// Groups are what policies mostly speak of.
	Groups []string `yaml:"groups"`
	// Attributes are what conditions on rows (@where in a policy) know as principal.NAME, such as a tenant.
	Attributes map[string]string `yaml:"attributes"`
	// Secret is a SCRAM-SHA-256 verifier (`sallyport principal hash`), never a password.
	Secret string `yaml:"secret"`
	// SecretEnv and SecretFile say where the verifier is instead.
	SecretEnv  string `yaml:"secret_env"`
	SecretFile string `yaml:"secret_file"`
	// SecretCommand prints it; see Connection.
	SecretCommand []string `yaml:"secret_command"`
	// Tokens are bearer tokens for the MCP door.
	Tokens []Token `yaml:"tokens"`
	// Expires is when its secret and tokens end, like 2027-01-31T00:00:00Z. Without it they do not.
	Expires string `yaml:"expires"`
	// BreakGlass is for who comes in when the identity providers do not answer: each log-in is on record as such, logged, told to the
	// channels of notify, and shown in the web interface until somebody else has looked at it.
	BreakGlass bool `yaml:"break_glass"`
}

// Token is a bearer token, by its hash.
type Token struct {
	SHA256 string `yaml:"sha256"`
	// Expires is a time like 2027-01-31T00:00:00Z. Without it the token does not expire.
	Expires string `yaml:"expires"`
	Note    string `yaml:"note"`
	// Scopes are the actions of the policies that the token is good for, such as [read]: connecting goes with each. Without it, it is
	// good for all that its principal may do.
	Scopes []string `yaml:"scopes"`
}

// LabelRule gives one label to columns.
type LabelRule struct {
	Label string `yaml:"label"`
	// Columns are patterns schema.table.column; * and ? match within a part.
	Columns []string `yaml:"columns"`
	// Connections limits the rule; without it, it holds for all.
	Connections []string `yaml:"connections"`
}

// Mask is a transform with its parameters.
type Mask struct {
	// Transform is redact, partial, token, generalise or null.
	Transform string `yaml:"transform"`
	// Style is email, phone, card or generic for partial; year, month or decade for generalise.
	Style string `yaml:"style"`
	// Bucket is the width of a generalised number's bucket.
	Bucket string `yaml:"bucket"`
}

// Detectors adjust what is looked for in text without a label.
type Detectors struct {
	// PhoneRegions are countries (ISO 3166: DE, GB) whose telephone numbers are known without their calling code. Others
	// need it, a word for telephone, or a form that is a number's anywhere.
	PhoneRegions []string `yaml:"phone_regions"`
	// Model is asked about text that the detectors have looked at. Without it, none is.
	Model *DetectorModel `yaml:"model"`
}

// DetectorModel is a recogniser of named entities with the protocol of Presidio's analyzer.
type DetectorModel struct {
	// URL is its analyze endpoint: https, or http on this machine (http://127.0.0.1:5002/analyze).
	URL string `yaml:"url"`
	// Timeout is how long an answer may take, at most 30s. Default 2s.
	Timeout Duration `yaml:"timeout"`
	// Language is what the model is told that the texts are in. Default en.
	Language string `yaml:"language"`
	// MinScore is the least score of a finding that is hidden, 0 to 1. Default 0.5.
	MinScore *float64 `yaml:"min_score"`
	// Entities are what it looks for (PERSON, LOCATION). Default: all that it knows.
	Entities []string `yaml:"entities"`
}

// Least is the least score of a finding that is hidden.
func (m *DetectorModel) Least() float64 {
	if m.MinScore == nil {
		return 0.5
	}
	return *m.MinScore
}

// Limits guard the gateway itself. Zero values mean the defaults.
type Limits struct {
	// Clients is how many clients the pgwire door serves at once. Default 1000.
	Clients int `yaml:"clients"`
	// MessageBytes is the largest message taken from a client. Default 67108864 (64 MiB). It is for parameters and
	// COPY data: the text of statements may have 1 MiB.
	MessageBytes int `yaml:"message_bytes"`
	// HandshakeTimeout is how long a client may take to log in. Default 15s.
	HandshakeTimeout Duration `yaml:"handshake_timeout"`
	// DrainTimeout is how long a stopping gateway waits for running statements. Default 10s.
	DrainTimeout Duration `yaml:"drain_timeout"`
}

// Duration is a time.Duration written like 30s or 5m.
type Duration time.Duration
