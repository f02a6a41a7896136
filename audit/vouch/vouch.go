package vouch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit"
	"sallyport/audit/checkpoint"
	"sallyport/audit/cosignature"
	"sallyport/audit/internal/durable"
	"sallyport/audit/timestamp"
	"sallyport/audit/witness"
	"sallyport/internal/access"
)

// Names of the files, and what they begin with.
const (
	Folder      = "vouched"
	PolicyFile  = "policy"
	RootsFile   = "roots.pem"
	healthFile  = "health"
	witnessFile = "witness."
	stampFile   = "timestamp."
	tokenSuffix = ".tsr"
)

const (
	lookEvery  = time.Second
	probeFor   = 5 * time.Second
	stampEvery = time.Hour
	stampFor   = 10 * time.Second
	codeRolled = "XX001" // data_corrupted, PostgreSQL appendix A
)

// Options for New.
type Options struct {
	Dir string // of the log

	Policy    cosignature.Policy // who the witnesses are
	Witnesses []*witness.Client  // in the order of the policy

	Authorities []*timestamp.Client // asked in this order, until one answers
	Roots       []byte              // their certificates, PEM, to be kept beside the tokens
	StampEvery  time.Duration       // 0 means an hour

	Log *slog.Logger // nil discards
	// LookEvery is how often the newest checkpoint is looked at; 0 means a second.
	LookEvery time.Duration
	// MinPause and MaxPause are between attempts at who failed; see witness.FeederOptions.
	MinPause, MaxPause time.Duration
}

// Voucher asks others to vouch for one log.
type Voucher struct {
	opt       Options
	feeder    *witness.Feeder
	verifiers []note.Verifier
	stamping  stamping
	stop      chan struct{}
	ended     chan struct{}
	offered   int64
	health    map[string]Health
	published bool
}

// New takes the options; it asks nobody yet.
func New(opt Options) (*Voucher, error) {
	if err := opt.Policy.Check(); err != nil {
		return nil, err
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	opt.LookEvery, opt.StampEvery = cmp.Or(opt.LookEvery, lookEvery), cmp.Or(opt.StampEvery, stampEvery)
	return &Voucher{opt: opt, verifiers: opt.Policy.Verifiers(), stop: make(chan struct{}), ended: make(chan struct{}), health: map[string]Health{}}, nil
}

// Refuse asks the witnesses, before the log is opened, whether they have seen more of it than there is, and takes at most
// some seconds. Its error is an *access.Error that says what to do. A witness that does not answer does not hold the log up.
func (v *Voucher) Refuse(ctx context.Context) error {
	if len(v.opt.Witnesses) == 0 {
		return nil
	}
	p, err := audit.OpenProver(v.opt.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // there is no log yet, so its key is one that no witness has seen
	}
	if err != nil {
		return err
	}
	defer p.Close()
	ctx, cancel := context.WithTimeout(ctx, probeFor)
	defer cancel()
	_, msg := p.Checkpoint()
	all, err := witness.Probe(ctx, p.Keys(), msg, v.prove, v.opt.Witnesses...)
	if err != nil {
		return &access.Error{Kind: access.Unavailable, Code: codeRolled, Err: err,
			Message: fmt.Sprintf("the audit log in %s is not the one that its witnesses have seen, so the gateway does not start", v.opt.Dir),
			Hint: "an old copy of the data directory was put back, or the log was changed: put back the newest copy. If that is lost, keep this one for whoever audits " +
				"and begin a new log in another data_dir; what is between this log and what the witnesses have seen is then known to be missing"}
	}
	for _, s := range all {
		if s.Err != nil {
			v.opt.Log.Warn("a witness could not be asked whether the log was rolled back; the gateway starts without it", "witness", s.Witness, "error", s.Err)
		}
	}
	return nil
}

func (v *Voucher) prove(_ context.Context, from, to int64) (tlog.TreeProof, error) {
	p, err := audit.OpenProver(v.opt.Dir)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return p.Grown(from, to)
}

// Start begins, once the log is open. Close ends it.
func (v *Voucher) Start() error {
	dir := filepath.Join(v.opt.Dir, Folder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	keys, err := checkpoint.LoadVerifiers(filepath.Join(v.opt.Dir, "signing"))
	if err != nil {
		return err
	}
	if err := v.remember(PolicyFile, v.opt.Policy.Format(publics(keys)...), len(v.opt.Witnesses) > 0); err != nil {
		return err
	}
	if err := v.remember(RootsFile, v.opt.Roots, len(v.opt.Authorities) > 0); err != nil {
		return err
	}
	if err := v.stamping.resume(dir); err != nil {
		return err
	}
	v.feeder = witness.NewFeeder(witness.FeederOptions{Witnesses: v.opt.Witnesses, Prove: v.prove, Sink: v.keep, Log: v.opt.Log,
		MinPause: v.opt.MinPause, MaxPause: v.opt.MaxPause})
	go v.run()
	return nil
}

func publics(keys checkpoint.Keys) []string {
	var out []string
	for _, k := range keys.List() {
		out = append(out, k.Public)
	}
	return out
}

// remember keeps what is trusted beside what it vouches for; where nothing is trusted any more, what was stays, for
// what it has vouched for does.
func (v *Voucher) remember(name string, text []byte, some bool) error {
	path := filepath.Join(v.opt.Dir, Folder, name)
	if old, err := os.ReadFile(path); !some || err == nil && string(old) == string(text) {
		return nil
	}
	return durable.Replace(path, text, 0o644)
}

// Close offers the last checkpoint, which the log signs when it is closed, and waits until all have answered or ctx ends.
func (v *Voucher) Close(ctx context.Context) {
	close(v.stop)
	<-v.ended
	v.look()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for v.behind() {
		select {
		case <-ctx.Done():
		case <-tick.C:
			continue
		}
		break
	}
	v.feeder.Close()
	v.publish()
}

// behind is whether a witness that answers has not seen the last checkpoint yet.
func (v *Voucher) behind() bool {
	return slices.ContainsFunc(v.feeder.Status(), func(s witness.Status) bool { return s.Size < v.offered && s.Err == nil })
}

func (v *Voucher) run() {
	defer close(v.ended)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-v.stop
		cancel()
	}()
	tick := time.NewTicker(v.opt.LookEvery)
	defer tick.Stop()
	for {
		msg, tree := v.look()
		if msg != nil && len(v.opt.Authorities) > 0 && v.stamping.due(tree.N, time.Now()) {
			v.stamp(ctx, msg, tree.N)
		}
		v.publish()
		select {
		case <-tick.C:
		case <-v.stop:
			return
		}
	}
}

// look offers the newest checkpoint.
func (v *Voucher) look() ([]byte, tlog.Tree) {
	p, err := audit.OpenProver(v.opt.Dir)
	if err != nil {
		v.opt.Log.Error("the checkpoint of the audit log cannot be read, so nobody vouches for it", "error", err)
		return nil, tlog.Tree{}
	}
	defer p.Close()
	c, msg := p.Checkpoint()
	if c.Tree.N > 0 {
		v.offered = c.Tree.N
		v.feeder.Offer(msg, c.Tree)
	}
	return msg, c.Tree
}

// keep stores a cosigned checkpoint for each witness that has cosigned it.
func (v *Voucher) keep(msg []byte) error {
	all, err := cosignature.Verify(msg, v.verifiers...)
	for _, c := range all {
		err = errors.Join(err, durable.Replace(filepath.Join(v.opt.Dir, Folder, fmt.Sprintf("%s%08x", witnessFile, c.Key)), msg, 0o644))
	}
	return err
}

// sizeName is how sizes are written in names of files, so that these are in their order.
func sizeName(size int64) string { return fmt.Sprintf("%s%020d", stampFile, size) }

// sizeOf reads it.
func sizeOf(name string) (int64, bool) {
	var n int64
	digits, ok := strings.CutPrefix(name, stampFile)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	if _, err := fmt.Sscanf(digits, "%d", &n); err != nil || sizeName(n) != name {
		return 0, false
	}
	return n, true
}
