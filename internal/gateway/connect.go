package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway/internal/upstream"
	"sallyport/mask"
	"sallyport/sqlguard"
	"sallyport/sqlguard/policy"
)

// SCRAM begins a SCRAM-SHA-256 exchange.
func (g *Gateway) SCRAM(user string) Exchange { return g.people.SCRAM(user) }

// Verify checks credentials without opening a session.
func (g *Gateway) Verify(ctx context.Context, c access.Credentials) (access.Principal, error) {
	return g.people.Verify(ctx, c)
}

// Cancel cancels what the session with that backend key is running; unknown keys do nothing.
func (g *Gateway) Cancel(pid, key uint32) {
	g.mu.Lock()
	s := g.sessions[pid]
	g.mu.Unlock()
	if s != nil && s.key == key {
		s.cancelRunning()
	}
}

// noSuchConnection is also the answer where a connection exists that the principal may not use, so that its hint fits both.
func noSuchConnection(name string, p access.Principal, door access.Door) *access.Error {
	hint := "a client connects to a connection that it may use by giving its name as the name of the database"
	if door == access.DoorMCP {
		hint = "the argument connection is one of those that list_connections names"
	}
	return &access.Error{Kind: access.Denied, Code: "3D000", Message: fmt.Sprintf("there is no connection %q that %s may use", shortened(name, mostTask), p.Name),
		Hint: hint + "; who runs the gateway says which there are, and permits them"}
}

// Connect opens a session: the credentials are verified, policy is asked, the upstream is dialled, and the
// opening is recorded before the door hears of it.
func (g *Gateway) Connect(ctx context.Context, l Login) (*Session, error) {
	p, err := g.people.Verify(ctx, l.Credentials)
	if err == nil && l.User != "" && l.User != p.Name {
		err = &access.Error{Kind: access.Denied, Code: "28000", Message: "what was presented proves somebody other than the user", Hint: "connect as the principal that it speaks for"}
	}
	if err != nil {
		g.recordLogin(l, p, err)
		return nil, err
	}
	var s *Session
	if err = g.brokeGlass(l, p); err == nil {
		s, err = g.connect(ctx, l, p)
	}
	if err != nil {
		g.recordLogin(l, p, err)
		return nil, err
	}
	g.recheck(s)
	return s, nil
}

func (g *Gateway) connect(ctx context.Context, l Login, p access.Principal) (s *Session, err error) {
	db := g.dbs[l.Connection]
	policies := g.policies.Load()
	if db == nil {
		return nil, noSuchConnection(l.Connection, p, l.Door)
	}
	may := sqlguard.MayConnect(p, l.Connection, l.Door, policies)
	if may.Effect != access.Allow {
		if len(may.Scopes) > 0 {
			return nil, &access.Error{Kind: access.Denied, Code: "42501", Message: may.Message, Hint: may.Hint, Scopes: may.Scopes}
		}
		return nil, noSuchConnection(l.Connection, p, l.Door)
	}
	if err := g.enter(p, may.Obligations.Sessions); err != nil {
		return nil, err
	}
	defer func() {
		if s == nil { // not registered, so nobody forgets it; a panic comes here too
			g.places.exit(p.Name)
		}
	}()
	if db.snap.Load() == nil && !db.refresh(minRefresh) && db.snap.Load() == nil {
		return nil, &access.Error{Kind: access.Unavailable, Code: "08001", Message: fmt.Sprintf("the database behind %q cannot be reached", l.Connection),
			Hint: "try again later; the operator's log has the cause"}
	}
	opened := &Session{gw: g, db: db, principal: p, door: l.Door, client: l.Client, id: newID("s"), tx: 'I',
		stmts: map[string]*prepared{}, portals: map[string]*portal{}, reason: claimedReason(l.Reason)}
	if opened.pins, err = sqlguard.Pinned(p, l.Connection, l.Door, policies); err != nil {
		return nil, err
	}
	settings, err := opened.startup(l.Settings, policies)
	if err != nil {
		return nil, err
	}
	if opened.up, err = db.dial(ctx, settings); err != nil {
		g.logger.Warn("upstream not reached", "connection", l.Connection, "error", err)
		return nil, err
	}
	opened.up.Deadline(time.Now().Add(upstream.DialTimeout))
	if err := opened.askPath(nil); err != nil {
		opened.up.Close()
		return nil, &access.Error{Kind: access.Unavailable, Code: "08001", Message: "the database did not answer", Hint: "try again later", Err: err}
	}
	opened.up.Deadline(time.Time{})
	if err := opened.refresh(nil); err != nil {
		opened.up.Close()
		return nil, err
	}
	rec := opened.newRecord(access.RecordOpen)
	whoAsks(rec, p)
	rec.Client = l.Client
	if _, err := g.log.Append(rec); err != nil {
		opened.up.Close()
		return nil, err
	}
	g.register(opened)
	return opened, nil
}

// register gives the session its own cancel key.
func (g *Gateway) register(s *Session) {
	var b [4]byte
	rand.Read(b[:])
	s.key, s.since, s.gone = binary.BigEndian.Uint32(b[:]), time.Now(), make(chan struct{})
	s.active.Store(int64(time.Since(start)))
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		g.nextPID++
		s.pid = g.nextPID
		if g.sessions[s.pid] == nil && s.pid != 0 {
			break
		}
	}
	g.sessions[s.pid] = s
	s.rest(s.principal)
}

// startup judges the settings of a startup packet as SET statements would be, and adds our own.
func (s *Session) startup(asked map[string]string, policies *policy.Set) (map[string]string, error) {
	settings := map[string]string{"application_name": "sallyport"}
	names := make([]string, 0, len(asked))
	for name := range asked {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value, lower := asked[name], strings.ToLower(name)
		switch lower {
		case settingReason:
			s.reason = claimedReason(value)
			continue
		case settingTask:
			s.task = s.gw.claimedTask(value)
			continue
		case "user", "database", "options", "replication":
			// They mean something else in the packet that is sent upstream: "options" would carry settings past
			// this judgement, "replication" make a stream of raw changes of the connection.
			return nil, notASetting(name)
		}
		if !settingForm.MatchString(lower) || strings.HasPrefix(lower, "_pq_.") {
			return nil, notASetting(name)
		}
		if want, ok := upstream.Pinned[lower]; ok {
			if !strings.EqualFold(strings.ReplaceAll(value, "-", ""), want) {
				return nil, &access.Error{Kind: access.Unsupported, Code: "0A000", Message: lower + " has to be " + want, Hint: "leave it out of the startup options"}
			}
			continue
		}
		if d := sqlguard.MaySet(s.principal, s.db.conf.Name, s.door, lower, policies); d.Effect != access.Allow {
			return nil, &access.Error{Kind: access.Denied, Code: "42501", Message: d.Message, Hint: d.Hint}
		}
		settings[lower] = value
	}
	maps.Copy(settings, atStart(s.pins))
	// Both are always there, so that they can be shown, and RESET goes back to what start-up gave.
	settings[settingReason], settings[settingTask] = strings.ToValidUTF8(s.reason, "?"), strings.ToValidUTF8(s.task.ID, "?")
	if sqlguard.Unrestricted(s.principal, s.db.conf.Name, s.door, policies).Effect == access.Allow {
		return settings, nil // sees everything raw, and could read the key
	}
	// Set at start-up rather than by SET, so that RESET ALL and DISCARD ALL give them back.
	for name, value := range s.tokenPads() {
		settings[name] = value
	}
	return settings, nil
}

// tokenPads are the settings that token masks read their key from.
func (s *Session) tokenPads() map[string]string {
	mac := hmac.New(sha256.New, s.gw.tokenKey)
	mac.Write([]byte(s.db.conf.Name))
	ipad, opad := make([]byte, sha256.BlockSize), make([]byte, sha256.BlockSize)
	key := mac.Sum(nil)
	for i := range ipad {
		var k byte
		if i < len(key) {
			k = key[i]
		}
		ipad[i], opad[i] = k^0x36, k^0x5c // RFC 2104
	}
	return map[string]string{mask.SettingInner: hex.EncodeToString(ipad), mask.SettingOuter: hex.EncodeToString(opad)}
}

// settingForm is the ASCII part of what PostgreSQL takes for the name of a setting (guc.c,
// valid_custom_variable_name), folded.
var settingForm = regexp.MustCompile(`^[a-z_][a-z0-9_$]*(\.[a-z_][a-z0-9_$]*)*$`)

func notASetting(name string) *access.Error {
	return &access.Error{Kind: access.Unsupported, Code: "0A000", Message: fmt.Sprintf("%q is not a setting that a client may give at start-up", name),
		Hint: "leave it out of the startup options"}
}

// recordLogin records a refused log-in; p is nobody where nothing was proven.
func (g *Gateway) recordLogin(l Login, p access.Principal, err error) {
	e := access.AsError(err)
	failed, signed := failedCheck(err)
	if p.Proof.Method == "" {
		p.Proof = signed
	}
	err = g.note(access.RecordRefused, func(rec *access.Record) {
		// Whoever can reach the door chooses these words.
		whoAsks(rec, p)
		rec.Door, rec.Connection, rec.Client = l.Door, shortened(l.Connection, mostTask), l.Client
		rec.Code, rec.Error, rec.Hint = e.Code, shortened(e.Message+failed, mostParam), e.Hint
	})
	if err != nil {
		g.logger.Error("refused log-in not recorded", "error", err)
	}
}
