// Package desk is where a gateway that runs takes orders about its record (erase, hold), and about its sessions: it has both to itself, so
// nobody else could carry them out. They come over a socket in the data directory, DATA/log/office/orders.sock, in a folder
// that is its owner's alone; one line of JSON each way. An order that is under way when either side ends is finished by
// the gateway, or by the next one that opens the record. A desk also has what is due erased once a day.
//
// It trusts whoever may open the socket to hand on credentials, and leaves it to package office who may give which order about the record.
// Sessions may be ended by whoever may open it: they own the machine, and need no provider for it that may be what has failed.
//
// Where to start: Open for a gateway, Ask for a command.
package desk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"sallyport/audit"
	"sallyport/audit/office"
	"sallyport/internal/access"
)

const (
	most     = 1 << 16 // bytes of an order
	patience = 10 * time.Second
	first    = time.Minute // after the start, so that a gateway that restarts again and again does not begin again and again
	every    = 24 * time.Hour
	// rest is how many times as long as it works retention rests, so that it leaves the processor to statements.
	rest = 3
)

// request is what comes over the socket.
type request struct {
	office.Order
	Sessions *SessionOrder `json:"sessions,omitempty"` // instead of an order about the record
}

// what says in a word what is asked for.
func (r *request) what() string {
	if r.Sessions != nil {
		return string(r.Sessions.Do) + " sessions by " + r.Sessions.By
	}
	return string(r.Kind) + " by " + r.By
}

// reply is what goes back over the socket.
type reply struct {
	Answer   *office.Answer `json:"answer,omitempty"`
	Sessions *SessionAnswer `json:"sessions,omitempty"`
	Error    *failure       `json:"error,omitempty"`
}

// failure is an access.Error, with its cause for the operator, who has asked.
type failure struct {
	Kind    access.Kind `json:"kind"`
	Code    string      `json:"code"`
	Message string      `json:"message"`
	Hint    string      `json:"hint,omitempty"`
	Cause   string      `json:"cause,omitempty"`
}

// Desk takes orders for a gateway.
type Desk struct {
	office   *office.Office
	sessions Sessions // nil: takes no orders about them
	log      *slog.Logger
	dir      *os.File // folder of the socket; nil where none could be opened
	ln       net.Listener
	stop     context.CancelFunc
	wg       sync.WaitGroup
}

// Open opens the desk of a gateway whose record is in dir. That its socket cannot be opened keeps no gateway from serving.
func Open(dir string, o *office.Office, sessions Sessions, retention audit.Retention, log *slog.Logger) *Desk {
	ctx, stop := context.WithCancel(context.Background())
	d := &Desk{office: o, sessions: sessions, log: log, stop: stop}
	if err := d.listen(dir); err != nil {
		log.Warn("orders about the record are taken only while the gateway is stopped", "error", err)
	} else {
		d.wg.Go(d.accept)
	}
	if retention != (audit.Retention{}) {
		d.wg.Go(func() { d.retain(ctx) })
	}
	return d
}

// officeDir opens the folder of the socket, and gives the socket's name. A name has room for a hundred bytes or so, and
// folders may lie deep: on Linux it begins with the descriptor.
func officeDir(dir string) (*os.File, string, error) {
	f, err := os.Open(filepath.Join(dir, "office"))
	if err != nil {
		return nil, "", err
	}
	if runtime.GOOS != "linux" {
		return f, filepath.Join(dir, "office", "orders.sock"), nil
	}
	return f, fmt.Sprintf("/proc/self/fd/%d/orders.sock", f.Fd()), nil
}

func (d *Desk) listen(dir string) error {
	path := filepath.Join(dir, "office")
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(path, 0o700); err != nil {
		return err
	}
	var name string
	var err error
	if d.dir, name, err = officeDir(dir); err != nil {
		return err
	}
	// The record is open, so whoever listened there before has ended.
	if err := os.Remove(filepath.Join(path, "orders.sock")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if d.ln, err = net.Listen("unix", name); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Join(path, "orders.sock"), 0o600); err != nil {
		return errors.Join(err, d.ln.Close())
	}
	return nil
}

func (d *Desk) accept() {
	for {
		conn, err := d.ln.Accept()
		if err != nil {
			return // closed
		}
		d.wg.Go(func() { d.serve(conn) })
	}
}

func (d *Desk) serve(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	var in request
	if err := json.NewDecoder(io.LimitReader(conn, most)).Decode(&in); err != nil {
		d.log.Warn("an order about the record could not be read", "error", err)
		return
	}
	var out reply
	var err error
	if in.Sessions != nil {
		out.Sessions, err = d.sessionOrder(*in.Sessions)
	} else {
		out.Answer, err = d.office.Do(in.Order)
	}
	if err != nil {
		e := access.AsError(err)
		out.Error = &failure{Kind: e.Kind, Code: e.Code, Message: e.Message, Hint: e.Hint}
		if e.Err != nil {
			out.Error.Cause = e.Err.Error()
		}
		d.log.Warn("an order was not carried out", "order", in.what(), "error", err)
	} else if !in.Dry && in.Sessions == nil {
		d.log.Info("an order about the record was carried out", "order", in.Kind, "by", in.By)
	}
	_ = conn.SetWriteDeadline(time.Now().Add(patience))
	if err := json.NewEncoder(conn).Encode(out); err != nil {
		d.log.Warn("who gave an order has gone", "order", in.Kind, "error", err)
	}
}

// retain erases what is due, once a day.
func (d *Desk) retain(ctx context.Context) {
	for wait := first; ; wait = every {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		began := time.Now()
		all, err := d.office.Retain(began, func() error {
			select {
			case <-ctx.Done():
			case <-time.After(min(time.Second, rest*time.Since(began))):
			}
			began = time.Now()
			return ctx.Err()
		})
		for _, e := range all {
			d.log.Info("retention has erased records", "records", e.Records, "record", e.Position)
		}
		if err != nil && ctx.Err() == nil {
			d.log.Error("retention was not carried out; it is tried again tomorrow", "error", err)
		}
	}
}

// Close waits for the order that is carried out.
func (d *Desk) Close() {
	d.stop()
	if d.ln != nil {
		d.ln.Close()
	}
	d.wg.Wait()
	if d.dir != nil {
		d.dir.Close()
	}
}

// ErrNobody says that no gateway takes orders for a record.
var ErrNobody = errors.New("no gateway listens")

// Ask has the gateway that runs on the record in dir carry an order about it out.
func Ask(dir string, in office.Order) (*office.Answer, error) {
	out, err := ask(dir, request{Order: in})
	if err != nil {
		return nil, err
	}
	return out.Answer, nil
}

func ask(dir string, in request) (*reply, error) {
	f, name, err := officeDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNobody
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	conn, err := net.Dial("unix", name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, ErrNobody
	}
	if err != nil {
		return nil, fmt.Errorf("ask the gateway that runs on %s: %w", dir, err)
	}
	defer conn.Close()
	if err := json.NewEncoder(conn).Encode(in); err != nil {
		return nil, fmt.Errorf("hand the order to the gateway: %w", err)
	}
	var out reply
	if err := json.NewDecoder(conn).Decode(&out); err != nil {
		return nil, &access.Error{Kind: access.Unavailable, Message: "the gateway has gone before it answered: whether the order was carried out is in the record", Hint: "`sallyport trace --since 1h` shows it", Err: err}
	}
	if e := out.Error; e != nil {
		err := &access.Error{Kind: e.Kind, Code: e.Code, Message: e.Message, Hint: e.Hint}
		if e.Cause != "" {
			err.Err = errors.New(e.Cause)
		}
		return nil, err
	}
	return &out, nil
}
