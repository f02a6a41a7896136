package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"sallyport/audit/vouch"
	"sallyport/internal/access"
	"sallyport/internal/config"
	"sallyport/internal/desk"
	"sallyport/internal/gateway"
	"sallyport/mcp"
	"sallyport/proxy/pgwire"
)

const defaultDrain = 10 * time.Second

type serveOptions struct {
	*app
	logFormat, logLevel string
}

func newServe(a *app) *cobra.Command {
	o := &serveOptions{app: a}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Open the doors",
		Long: `Serve opens the doors that the configuration names and runs until SIGTERM or Ctrl-C; then it takes no new
statements, waits for running ones (limits.drain_timeout) and closes the record. SIGHUP reads the policies,
the principals, the providers and the labels files again: from a client's next statement on they hold, or, if one is not sound, the old ones
stay. Sessions end of principals who are gone, or have other groups, attributes, passwords or tokens. It
also reads DSNs again from files and commands, for new sessions, exporters and channels with their secrets, has those that are stopped look
whether that was mended, and reads the doors' certificates (which is done at handshakes too, once a second).`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	cmd.Flags().StringVar(&o.logFormat, "log-format", "text", "text or json")
	cmd.Flags().StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	return cmd
}

func (o *serveOptions) run(ctx context.Context) error {
	moreProcs()
	log, err := newLogger(o.app, o.logFormat, o.logLevel)
	if err != nil {
		return err
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP) // before anything takes time: nobody's SIGHUP ends a gateway that opens
	defer signal.Stop(hup)
	cfg, err := o.load()
	if err != nil {
		return err
	}
	g, err := openGate(ctx, cfg, log)
	if err != nil {
		return err
	}
	g.hup, g.path = hup, o.config
	around, stop := context.WithCancel(ctx)
	var looking errgroup.Group
	looking.Go(func() error { g.lookAround(around, cfg); return nil })
	err = g.serve(ctx)
	stop()
	return errors.Join(err, looking.Wait())
}

// moreProcs lets other goroutines run while one waits for the disk. A sync of the record holds its processor
// until the runtime's monitor notices, which on two cores halves what the gateway can do meanwhile.
func moreProcs() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(4, runtime.GOMAXPROCS(0)))
	}
}

func newLogger(a *app, format, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, usagef("--log-level is debug, info, warn or error, not %q", level)
	}
	opt := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(a.err, opt)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(a.err, opt)), nil
	}
	return nil, usagef("--log-format is text or json, not %q", format)
}

// gate is a core with its doors, listening but not yet serving.
type gate struct {
	core    *gateway.Gateway
	vouch   *vouch.Voucher // nil where nobody vouches for the record
	out     *outward       // exporters and channels; nil before they are made ready
	desk    *desk.Desk
	unindex func() // ends the indexing; nil before it has begun
	log     *slog.Logger
	drain   time.Duration
	rules   []config.Policy   // in force
	started *config.File      // what the gateway was started with
	force   *config.Config    // what was read last
	files   map[string]string // labels files in force, by connection
	hup     <-chan os.Signal  // each has serve reload the file at path; nil: none comes
	path    string

	pgwire         *pgwire.Server
	mcp            *mcp.Server
	http           *http.Server
	pgAddr, mcpURL string // "" for a door that is shut
	pgLn, mcpLn    net.Listener
	webLn          net.Listener
	certs          certs
	web            *webDoor // nil where it is shut
}

// openGate opens everything or nothing. Sockets come first: a second instance or a taken port then
// fails before the record is touched.
func openGate(ctx context.Context, cfg *config.Config, log *slog.Logger) (_ *gate, err error) {
	g := &gate{log: log, drain: time.Duration(cfg.File.Limits.DrainTimeout), rules: cfg.Policies, started: &cfg.File, force: cfg, files: labelsFiles(cfg)}
	if g.drain == 0 {
		g.drain = defaultDrain
	}
	defer func() {
		if err != nil {
			g.closeListeners()
		}
	}()
	listen := cfg.File.Listen
	if listen.PGWire != nil {
		if g.pgLn, err = listenOn("pgwire", listen.PGWire.Address); err != nil {
			return nil, err
		}
		g.pgLn = behind(g.pgLn, listen.PGWire.ProxyProtocol, "pgwire", log)
		g.pgAddr = g.pgLn.Addr().String()
	}
	if listen.MCP != nil {
		if g.mcpLn, err = listenOn("mcp", listen.MCP.Address); err != nil {
			return nil, err
		}
		g.mcpLn = behind(g.mcpLn, listen.MCP.ProxyProtocol, "mcp", log)
		g.mcpURL = mcpURL(listen.MCP, g.mcpLn.Addr().String())
	}
	if listen.Web != nil {
		if g.webLn, err = listenOn("web", listen.Web.Address); err != nil {
			return nil, err
		}
		g.webLn = behind(g.webLn, listen.Web.ProxyProtocol, "web", log)
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, &access.Error{Kind: access.Unavailable, Message: fmt.Sprintf("the data directory %s cannot be made", cfg.DataDir), Hint: "make it writable, or name another as data_dir", Err: plain(err)}
	}
	if g.certs, err = doorTLS(cfg, log); err != nil {
		return nil, err
	}
	if err = wrapKeys(filepath.Join(cfg.DataDir, "log"), cfg); err != nil {
		return nil, err
	}
	voucher, err := openVouch(cfg, log)
	if err == nil && voucher != nil {
		err = voucher.Refuse(ctx)
	}
	if err != nil {
		return nil, err
	}
	c := coreConfig(cfg, log)
	if g.mcpURL != "" {
		c.Audience = g.mcpURL // tokens are for the resource that the door says it is, whatever port it got
	}
	if g.core, err = gateway.Open(ctx, c); err != nil {
		return nil, err
	}
	if voucher != nil {
		if err = voucher.Start(); err != nil {
			return nil, errors.Join(err, g.core.Close())
		}
		g.vouch = voucher
	}
	if g.out, err = openOutward(cfg, log); err != nil {
		return nil, errors.Join(err, g.close())
	}
	rules := officeRules(cfg)
	g.desk = desk.Open(filepath.Join(cfg.DataDir, "log"), g.core.Office(rules), deskSessions{g.core}, rules.Retention, log)
	limits := cfg.File.Limits
	if g.pgLn != nil {
		g.pgwire = pgwire.New(g.core, pgwire.Options{
			TLS: g.certs.pgwire, RequireTLS: listen.PGWire.RequireTLS, Log: log,
			HandshakeTimeout: time.Duration(limits.HandshakeTimeout), MaxMessage: limits.MessageBytes, MaxClients: limits.Clients,
		})
	}
	if g.mcpLn != nil {
		if g.mcp, err = g.newMCP(hosts(g.mcpURL), listen.MCP.Origins); err != nil {
			return nil, errors.Join(err, g.close())
		}
		g.http = &http.Server{Handler: g.mcp.Handler(), TLSConfig: g.certs.mcp, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
			ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
		limitConnections(g.http, httpConnections, log.With("door", "mcp"))
	}
	if g.webLn != nil {
		if g.web, err = openWeb(g, cfg); err != nil {
			return nil, errors.Join(err, g.close())
		}
	}
	g.out.start(time.Duration(cfg.File.SecretsRefresh))
	g.unindex = startIndex(cfg, log)
	return g, nil
}

// listenOn opens a socket, with an error that says what to do.
func listenOn(door, address string) (net.Listener, error) {
	ln, err := net.Listen("tcp", address)
	if err == nil {
		return ln, nil
	}
	e := &access.Error{Kind: access.Unavailable, Message: fmt.Sprintf("the %s door cannot listen on %s", door, address), Err: err}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		e.Message, e.Err = fmt.Sprintf("the %s door cannot open: %s is in use", door, address), nil
		e.Hint = "another sallyport, or another program? stop it, or set listen." + door + ".address"
	case errors.Is(err, syscall.EACCES):
		e.Hint = "ports below 1024 need privileges: choose a higher one"
	default:
		e.Hint = "check listen." + door + ".address"
	}
	return nil, e
}

// mcpURL is how clients reach the agents' door.
func mcpURL(m *config.MCP, address string) string {
	if m.PublicURL != "" {
		return strings.TrimSuffix(strings.TrimSuffix(m.PublicURL, "/"), "/mcp") + "/mcp"
	}
	scheme := "http"
	if m.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + address + "/mcp"
}

func (g *gate) newMCP(hosts, origins []string) (*mcp.Server, error) {
	return mcp.New(g.core, mcp.Options{Hosts: hosts, Origins: origins, Resource: g.mcpURL, Version: programVersion(), Log: g.log})
}

// hosts are the names under which clients may address the agents' door.
func hosts(mcpURL string) []string {
	if u, err := url.Parse(mcpURL); err == nil {
		return []string{u.Hostname()}
	}
	return nil
}

// serve runs the doors until ctx ends or one of them fails, then drains and closes everything.
func (g *gate) serve(ctx context.Context) error {
	if g.pgAddr != "" {
		g.log.Info("door open", "door", "pgwire", "address", g.pgAddr)
	}
	if g.mcpURL != "" {
		g.log.Info("door open", "door", "mcp", "url", g.mcpURL)
	}
	if g.web != nil {
		g.log.Info("door open", "door", "web", "address", g.webLn.Addr().String())
	}
	// The doors get a context of their own: ctx ending must drain them, not cut them off.
	cut, cutOff := context.WithCancel(context.WithoutCancel(ctx))
	defer cutOff()
	doors, failed := errgroup.WithContext(cut)
	if g.pgwire != nil {
		doors.Go(func() error { return g.pgwire.Serve(cut, g.pgLn) })
	}
	if g.http != nil {
		doors.Go(func() error {
			serve := func() error { return g.http.Serve(g.mcpLn) }
			if g.http.TLSConfig != nil {
				serve = func() error { return g.http.ServeTLS(g.mcpLn, "", "") }
			}
			if err := serve(); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("the mcp door failed: %w", err)
			}
			return nil
		})
	}
	if g.web != nil {
		doors.Go(g.web.serve)
	}
	live, ending := context.WithCancel(ctx)
	defer ending()
	var reloads errgroup.Group
	reloads.Go(func() error { g.reloads(live); return nil })
	select {
	case <-ctx.Done():
		g.log.Info("stopping", "drain", g.drain.String())
	case <-failed.Done():
	}
	ending()
	g.core.Drain() // who waits for approval is told, and what they wait for outlives us
	late, cancel := context.WithTimeout(cut, g.drain)
	defer cancel()
	var draining errgroup.Group
	if g.pgwire != nil {
		draining.Go(func() error { return g.pgwire.Shutdown(late) })
	}
	if g.http != nil {
		draining.Go(func() error {
			err := g.mcp.Shutdown(late) // running calls end, then streams that would never fall idle
			if g.http.Shutdown(late) != nil {
				g.http.Close()
			}
			return err
		})
	}
	if g.web != nil {
		draining.Go(func() error { return g.web.shutdown(late) })
	}
	if err := draining.Wait(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		g.log.Warn("not everything drained", "error", err)
	}
	cutOff()
	err := doors.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	_ = reloads.Wait() // one that has begun needs the core
	err = errors.Join(err, g.close())
	g.log.Info("stopped")
	return err
}

// lookHourly is how often certificates are looked at where no client comes: what ends soon is told of all the same.
const lookHourly = time.Hour

// reloads reloads at each SIGHUP until ctx ends, and looks at the doors' certificates now and then.
func (g *gate) reloads(ctx context.Context) {
	hour := time.NewTicker(lookHourly)
	defer hour.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hour.C:
			g.certs.look()
		case <-g.hup:
			g.reload(ctx, g.path)
		}
	}
}

// reload reads the policies, the principals, the providers, the labels files, exporters and channels and the doors' certificates again, and has
// exporters and channels that are stopped look again. What cannot be loaded changes nothing.
func (g *gate) reload(ctx context.Context, path string) {
	g.certs.look()
	g.out.look()
	g.core.RenewDSNs(ctx)
	cfg, err := config.Load(path)
	if err == nil {
		err = lostFiles(cfg, g.rules)
	}
	if err == nil && !maps.Equal(labelsFiles(cfg), g.files) {
		err = errors.New("other labels files are named than when the gateway started: restart it")
	}
	ended := 0
	if err == nil {
		c := coreConfig(cfg, g.log)
		ended, err = g.core.Reload(c.Policies, c.Principals, c.Providers)
	}
	if err != nil {
		g.log.Error("configuration not reloaded: the old one stays in force", "error", err)
		return
	}
	judged := map[string]*access.Judgements{}
	for _, c := range cfg.Connections {
		if c.Judged != nil {
			judged[c.Name] = c.Judged
		}
	}
	g.core.Judge(judged)
	g.rules = cfg.Policies
	outward := g.out.reload(cfg)
	g.log.Info("configuration reloaded", "changed", putInForce(g.force, cfg, outward), "policies", len(g.rules), "labels_files", len(judged), "principals", len(cfg.Principals), "providers", len(cfg.Providers),
		"sessions_ended", ended)
	g.force = cfg
	if keys, serious := waiting(g.started, &cfg.File); len(keys) > 0 {
		level := slog.LevelWarn
		if serious {
			level = slog.LevelError
		}
		g.log.Log(ctx, level, "not in force: the file says otherwise than the gateway does, until it is started again", "keys", keys)
	}
}

// lostFiles is why a reload takes nothing where policy files of before have vanished.
func lostFiles(cfg *config.Config, before []config.Policy) error {
	if lost := cfg.Lost(before); len(lost) > 0 {
		return fmt.Errorf("%s: no longer there; to drop a policy file, empty it and reload, or restart", strings.Join(lost, ", "))
	}
	return nil
}

// labelsFiles are the labels files of a configuration, by connection.
func labelsFiles(cfg *config.Config) map[string]string {
	files := map[string]string{}
	for _, c := range cfg.Connections {
		if c.Judged != nil {
			files[c.Name] = c.Judged.File
		}
	}
	return files
}

func (g *gate) closeListeners() {
	for _, ln := range []net.Listener{g.pgLn, g.mcpLn, g.webLn} {
		if ln != nil {
			ln.Close()
		}
	}
}
