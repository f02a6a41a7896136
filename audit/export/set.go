package export

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
)

// Start says where an exporter begins that has no cursor yet.
type Start string

const (
	FromNow   Start = "now"   // with what is recorded from then on
	FromStart Start = "start" // with the first record of the log
)

// Format of what is sent as text.
type Format string

const (
	JSON Format = "json" // the record as it is
	OCSF Format = "ocsf" // OCSF 1.9.0, Datastore Activity
)

// Config is one exporter. Exactly one of the receivers is given.
type Config struct {
	Name    string // also the name of its cursor's file
	From    Start  // FromNow when empty
	Format  Format // JSON when empty; OTLP has a form of its own
	Without []string

	File    *File
	Webhook *Webhook
	Syslog  *Syslog
	OTLP    *OTLP
	Bucket  *Bucket // takes sealed segments as they are: From, Format and Without have no meaning
	// Receiver is one of the caller's, which makes of records what it likes: Format has no meaning. Kinds are what it is given; all when
	// empty.
	Receiver Receiver
	Kinds    []access.RecordKind
}

// Options of a Set.
type Options struct {
	Log     *slog.Logger // nil discards
	Version string       // of the program, for receivers
}

// runner is an exporter of either kind: of records, and of segments.
type runner interface {
	// run ends when ctx does, or when the keeper is asked to stop and everything is sent.
	run(ctx context.Context)
	state() Status
	wake()
	close() error
}

// Set is the exporters of one log.
type Set struct {
	logDir    string
	exporters []runner
	log       *slog.Logger
	stop      chan struct{} // closed: end when all is sent
	wg        sync.WaitGroup
	cancel    context.CancelFunc
}

// Open makes ready the exporters of the log in logDir, which must be there. Cursors are kept in stateDir. An exporter whose
// cursor does not fit the log is part of the set, and stopped.
func Open(logDir, stateDir string, configs []Config, opt Options) (*Set, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return nil, fmt.Errorf("the folder of the exporters' cursors cannot be made: %w", err)
	}
	s := &Set{logDir: logDir, log: opt.Log, stop: make(chan struct{})}
	for _, c := range configs {
		k := &keeper{config: c, logDir: logDir, stateDir: stateDir, stop: s.stop, look: make(chan struct{}, 1), log: opt.Log.With("exporter", c.Name), shared: Status{Name: c.Name, State: Running}}
		e, err := newRunner(c, k, opt.Version)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("exporter %s: %w", c.Name, err), s.closeSinks())
		}
		s.exporters = append(s.exporters, e)
	}
	return s, nil
}

func newRunner(c Config, k *keeper, version string) (runner, error) {
	for _, f := range c.Without {
		if without[f] == nil {
			return nil, fmt.Errorf("there is no field %q to be left out", f)
		}
	}
	if c.Bucket != nil {
		return newUploader(c, k)
	}
	return newExporter(c, k, version)
}

// Start runs the exporters until Close.
func (s *Set) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	for _, e := range s.exporters {
		s.wg.Go(func() { e.run(ctx) })
	}
}

// Look has the exporters that are stopped begin anew, at once: what has stopped them may have been mended.
func (s *Set) Look() {
	for _, e := range s.exporters {
		if e.state().State == Stopped {
			e.wake()
		}
	}
}

// Close ends the exporters when each has sent all that is in the log, or when ctx ends. What is not sent then is sent
// after the next start.
func (s *Set) Close(ctx context.Context) error {
	close(s.stop)
	if s.cancel != nil {
		ended := make(chan struct{})
		go func() {
			s.wg.Wait()
			close(ended)
		}()
		select {
		case <-ended:
		case <-ctx.Done():
		}
		s.cancel()
		<-ended
	}
	return s.closeSinks()
}

func (s *Set) closeSinks() error {
	var errs []error
	for _, e := range s.exporters {
		errs = append(errs, e.close())
	}
	return errors.Join(errs...)
}

// State says what an exporter does.
type State string

const (
	Running  State = "running"
	Retrying State = "retrying" // the receiver does not take it now
	Stopped  State = "stopped"  // somebody has to do something
)

// Status of an exporter.
type Status struct {
	Name     string    `json:"name"`
	To       string    `json:"to"` // kind of receiver and where it is, without secrets
	State    State     `json:"state"`
	Position uint64    `json:"position"`             // acknowledged last
	Lag      uint64    `json:"lag"`                  // records of the log that are not acknowledged
	Sent     time.Time `json:"sent,omitzero"`        // when the last was
	Error    string    `json:"last_error,omitempty"` // the last, also where it has passed
	At       time.Time `json:"last_error_at,omitzero"`
}

// Status tells how the exporters are. It reads the last segment of the log; where that cannot be read Lag is not known,
// which the error says.
func (s *Set) Status() ([]Status, error) {
	next, err := audit.Next(s.logDir)
	var out []Status
	for _, e := range s.exporters {
		out = append(out, lagging(e.state(), next))
	}
	return out, err
}

// ReadStatus is Status for another process, from what the exporters leave in stateDir.
func ReadStatus(logDir, stateDir string) ([]Status, error) {
	names, err := os.ReadDir(stateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	next, errLog := audit.Next(logDir)
	var out []Status
	for _, n := range names {
		name, ok := strings.CutSuffix(n.Name(), statusSuffix)
		if !ok {
			continue
		}
		st := Status{}
		text, err := os.ReadFile(filepath.Join(stateDir, n.Name()))
		if err == nil {
			err = json.Unmarshal(text, &st)
		}
		if err != nil {
			return nil, fmt.Errorf("status of exporter %s: %w", name, err)
		}
		if c, err := loadCursor(stateDir, name); err != nil {
			st.State, st.Error = Stopped, err.Error()
		} else if c != nil {
			st.Position = c.Position
		}
		if info, err := os.Stat(cursorPath(stateDir, name)); err == nil {
			st.Sent = info.ModTime().UTC()
		}
		out = append(out, lagging(st, next))
	}
	slices.SortFunc(out, func(a, b Status) int { return cmp.Compare(a.Name, b.Name) })
	return out, errLog
}

func lagging(st Status, next uint64) Status {
	if next > st.Position {
		st.Lag = next - 1 - st.Position
	}
	return st
}

const statusSuffix = ".status"
