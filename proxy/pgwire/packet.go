package pgwire

import (
	"bytes"
	"encoding/binary"
	"strings"

	"sallyport/internal/access"
)

// maxStartup is PostgreSQL's MAX_STARTUP_PACKET_LENGTH.
const maxStartup = 10000

// Request codes that stand in place of a protocol version (pqcomm.h).
const (
	codeCancel = 1234<<16 | 5678
	codeSSL    = 1234<<16 | 5679
	codeGSS    = 1234<<16 | 5680
)

// Protocol versions. 3.2 differs by longer cancel keys only.
const (
	version30 = 3 << 16
	version32 = 3<<16 | 2
)

// startup is a decoded StartupMessage.
type startup struct {
	version uint32 // as asked
	user    string
	// database names a connection of the configuration.
	database    string
	application string
	reason      string
	provider    string            // that the client would log in by, with a token
	settings    map[string]string // run-time parameters; names in lower case
	unknown     []string          // protocol extensions that we do not know
}

// speaks gives the version to go on with, and whether the client must be told so first.
func (st *startup) speaks() (version uint32, negotiate bool) {
	v := min(st.version, version32)
	return v, v != st.version || len(st.unknown) > 0
}

// cutStartup cuts the body off a packet that starts buf: need is how long the whole packet is, 0 where
// that is not known yet; body is nil until all of it is there.
func cutStartup(buf []byte) (body []byte, need int, err error) {
	if len(buf) < 4 {
		return nil, 0, nil
	}
	n := int(binary.BigEndian.Uint32(buf))
	if n < 8 || n > maxStartup {
		return nil, 0, protocolError("invalid length of startup packet")
	}
	if len(buf) < n {
		return nil, n, nil
	}
	return buf[4:n:n], n, nil
}

// decodeCancel reads a CancelRequest's body. Keys have 4 bytes in 3.0 and up to 256 in 3.2.
func decodeCancel(body []byte) (pid uint32, key []byte, ok bool) {
	if len(body) < 12 || len(body) > 8+256 {
		return 0, nil, false
	}
	return binary.BigEndian.Uint32(body[4:]), body[8:], true
}

// decodeStartup reads a StartupMessage's body, version included.
func decodeStartup(body []byte) (*startup, error) {
	st := &startup{version: binary.BigEndian.Uint32(body), settings: map[string]string{}}
	if major := st.version >> 16; major != 3 {
		return nil, &access.Error{
			Kind: access.Unsupported, Code: "0A000",
			Message: "unsupported frontend protocol " + versionText(st.version) + ": the gateway speaks 3.0 to 3.2",
			Hint:    "use a client for PostgreSQL 7.4 or later",
		}
	}
	options := ""
	for rest := body[4:]; ; {
		if len(rest) == 1 && rest[0] == 0 {
			break
		}
		name, after, ok := cutCString(rest)
		value, after, ok2 := cutCString(after)
		if !ok || !ok2 || len(name) == 0 {
			return nil, protocolError("invalid startup packet layout: expected terminator as last byte")
		}
		rest = after
		if err := st.parameter(string(name), string(value), &options); err != nil {
			return nil, err
		}
	}
	if st.user == "" {
		return nil, &access.Error{
			Kind: access.Invalid, Code: "28000", Message: "no user name specified in startup packet",
			Hint: "connect as a principal of the gateway: user=NAME",
		}
	}
	if st.database == "" {
		st.database = st.user // as PostgreSQL does
	}
	if err := st.options(options); err != nil {
		return nil, err
	}
	return st, st.normalize()
}

// parameter takes one parameter of the packet. The last of a name wins, as with PostgreSQL.
func (st *startup) parameter(name, value string, options *string) error {
	switch {
	case name == "user":
		st.user = value
	case name == "database":
		st.database = value
	case name == "options":
		*options = value
	case name == "replication":
		return refuseReplication(value)
	case strings.HasPrefix(name, "_pq_."):
		st.unknown = append(st.unknown, name)
	default:
		st.settings[strings.ToLower(name)] = value
	}
	return nil
}

func (st *startup) options(text string) error {
	list, err := parseOptions(text)
	if err != nil {
		return err
	}
	for _, o := range list {
		// A parameter of the packet's own has the last word, as in PostgreSQL's process_startup_options
		// the packet's settings are applied after the command line.
		if _, ok := st.settings[o.name]; !ok {
			st.settings[o.name] = o.value
		}
	}
	return nil
}

// normalize takes out what is the door's business, and pins the encoding.
func (st *startup) normalize() error {
	if r, ok := st.settings["sallyport.reason"]; ok {
		st.reason = r
		delete(st.settings, "sallyport.reason")
	}
	st.provider = st.settings["sallyport.provider"]
	delete(st.settings, "sallyport.provider")
	st.application = printable(st.settings["application_name"], 63)
	enc, ok := st.settings["client_encoding"]
	if !ok {
		return nil
	}
	// PostgreSQL compares encoding names by their letters and digits only (clean_encoding_name). SQL_ASCII
	// is what psql asks for in the C locale and promises nothing about bytes: it gets UTF8.
	switch cleanEncoding(enc) {
	case "utf8", "unicode", "sqlascii":
		st.settings["client_encoding"] = "UTF8"
		return nil
	}
	return &access.Error{
		Kind: access.Unsupported, Code: "0A000",
		Message: "client_encoding " + printable(enc, 63) + " is not supported: the gateway reads statements as UTF8",
		Hint:    "set client_encoding=UTF8 (PGCLIENTENCODING=UTF8)",
	}
}

// refuseReplication lets a plain "no" pass; PostgreSQL's parse_bool takes unique prefixes.
func refuseReplication(value string) error {
	v := strings.ToLower(value)
	no := v == "0" || v == "of" || v == "off" ||
		v != "" && (strings.HasPrefix("false", v) || strings.HasPrefix("no", v))
	if no {
		return nil
	}
	return &access.Error{
		Kind: access.Unsupported, Code: "0A000", Message: "replication connections are refused",
		Hint: "physical and logical replication would carry raw data past policy and masks; connect to the database itself with an operator's account",
	}
}

func cutCString(b []byte) (s, rest []byte, ok bool) {
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return nil, nil, false
	}
	return b[:i], b[i+1:], true
}

func cleanEncoding(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return -1
	}, s)
}

// printable is PostgreSQL's pg_clean_ascii, cut to limit bytes: safe in a log and in a record.
func printable(s string, limit int) string {
	b := []byte(s[:min(len(s), limit)])
	for i, c := range b {
		if c < 32 || c > 126 {
			b[i] = '?'
		}
	}
	return string(b)
}
