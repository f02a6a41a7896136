package approval

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"sallyport/evals/crash"
	"sallyport/evals/wire"
)

// life is an attack that needs a gateway of its own: it is killed, its disk is full, its policies change. why is "" where the
// attack has not succeeded.
type life struct {
	family, name string
	run          func(ctx context.Context) (why string, err error)
}

// lives are all of them.
func (d *drill) lives() (out []life) {
	for i := range 5 {
		out = append(out, life{"killed", fmt.Sprintf("before-it-is-used.%d", i), func(ctx context.Context) (string, error) { return d.killed(ctx, i, false) }},
			life{"killed", fmt.Sprintf("while-it-runs.%d", i), func(ctx context.Context) (string, error) { return d.killed(ctx, i, true) }})
	}
	for _, file := range []string{"*.seg", "approvals.db", "*"} {
		out = append(out, life{"disk", file + ".simple", func(ctx context.Context) (string, error) { return d.full(ctx, file, text(count)) }},
			life{"disk", file + ".extended", func(ctx context.Context) (string, error) { return d.full(ctx, file, extended(count)) }})
	}
	for name, change := range map[string]string{
		"comment":  "// another version\n",
		"forbid":   `@id("no") forbid (principal, action == Action::"write", resource == Table::"shop.public.accounts");`,
		"stricter": `@id("two") @review("officers") permit (principal in Group::"askers", action == Action::"write", resource in Connection::"shop");`,
		"rows":     `@id("rows") @rows("1") permit (principal in Group::"askers", action == Action::"write", resource in Connection::"shop");`,
	} {
		out = append(out, life{"policy", name, func(ctx context.Context) (string, error) { return d.policy(ctx, change) }})
	}
	return out
}

// killed kills the gateway after an approval, or while what was approved waits for a lock in the database. Afterwards it may run
// once in all, and what was running is not run again.
func (d *drill) killed(ctx context.Context, i int, running bool) (string, error) {
	w, err := d.world(ctx, worlds[""], nil)
	if err != nil {
		return "", err
	}
	defer w.close()
	t := &try{w: w}
	defer t.close()
	if t.id, err = w.account(ctx); err != nil {
		return "", err
	}
	c, err := t.client(ctx, "ada")
	if err != nil {
		return "", err
	}
	id, err := t.approved(ctx, c, text(count))
	if err != nil {
		return "", err
	}
	if running {
		tx, err := w.direct.Begin(ctx)
		if err != nil {
			return "", err
		}
		if _, err := tx.Exec(ctx, t.sql("SELECT 1 FROM accounts WHERE id = {id} FOR UPDATE")); err != nil {
			return "", err
		}
		done := make(chan wire.Answer, 1)
		go func() { done <- c.Simple(t.sql(count)) }()
		time.Sleep(time.Duration(50+20*i) * time.Millisecond)
		w.g.Kill()
		<-done
		if err := tx.Rollback(ctx); err != nil {
			return "", err
		}
	} else {
		w.g.Kill()
	}
	if err := w.g.Launch(nil); err != nil {
		return "", err
	}
	if err := w.g.Ready(ctx); err != nil {
		return "", err
	}
	r, err := w.show(ctx, "keeper", id)
	if err != nil {
		return "", err
	}
	ran := false
	for range 3 { // anybody tries, and she does as often as she likes
		for _, who := range []string{"eve", "ada"} {
			c, err := t.client(ctx, who)
			if err != nil {
				return "", err
			}
			ran = !t.send(c, text(count)).Failed() || ran
		}
	}
	time.Sleep(100 * time.Millisecond)
	n, err := w.effects(ctx, t.id)
	switch {
	case err != nil:
		return "", err
	case n > 1:
		return fmt.Sprintf("%d effects", n), nil
	case running && (r.State != "unknown" || ran):
		return fmt.Sprintf("it was running, is %s afterwards, and was run again: %v", r.State, ran), nil
	case !running && (r.State != "approved" || n != 1):
		return "", fmt.Errorf("an approval that was not used is %s after a restart, and %d effects followed", r.State, n)
	}
	return "", nil
}

// full has every write of some files fail while somebody approves: the approval must fail, and nothing run.
func (d *drill) full(ctx context.Context, file string, s stmt) (string, error) {
	w, err := d.world(ctx, worlds[""], nil)
	if err != nil {
		return "", err
	}
	defer w.close()
	w.g.End()
	var disk *crash.Disk
	var attach func() error
	started := w.g.Launch(func(cmd *exec.Cmd) { disk, attach, err = crash.Fillable(cmd, file) })
	if err := errors.Join(err, started); err != nil {
		return "", err
	}
	if err := attach(); err != nil {
		return "", err
	}
	if err := w.g.Ready(ctx); err != nil {
		return "", err
	}
	t := &try{w: w}
	defer t.close()
	if t.id, err = w.account(ctx); err != nil {
		return "", err
	}
	c, err := t.client(ctx, "ada")
	if err != nil {
		return "", err
	}
	id, err := t.ask(c, s)
	if err != nil {
		return "", err
	}
	disk.Fill()
	status, body, err := w.call(ctx, call{method: "POST", path: path(id, "approve"), user: "keeper", password: secretOf("keeper"), body: verdict(1, nil)})
	if err != nil {
		return "", err
	}
	t.send(c, s)
	n, err := w.effects(ctx, t.id)
	if err != nil {
		return "", err
	}
	if disk.Hits() == 0 {
		return "", fmt.Errorf("no write of %s failed", file)
	}
	switch {
	case n != 0:
		return fmt.Sprintf("%d effects on a full disk", n), nil
	case status == http.StatusOK:
		return fmt.Sprintf("approved on a full disk: %s", body), nil
	}
	// After a restart on a disk with room, nothing was approved either.
	w.g.Kill()
	if err := w.g.Launch(nil); err != nil {
		return "", err
	}
	if err := w.g.Ready(ctx); err != nil {
		return "", err
	}
	again, err := t.client(ctx, "ada")
	if err != nil {
		return "", err
	}
	t.send(again, s)
	if n, err = w.effects(ctx, t.id); err == nil && n != 0 {
		return fmt.Sprintf("%d effects after the disk was full", n), nil
	}
	return "", err
}

// policy changes the policies between an approval and its use.
func (d *drill) policy(ctx context.Context, more string) (string, error) {
	w, err := d.world(ctx, worlds[""], nil)
	if err != nil {
		return "", err
	}
	defer w.close()
	t := &try{w: w}
	defer t.close()
	if t.id, err = w.account(ctx); err != nil {
		return "", err
	}
	c, err := t.client(ctx, "ada")
	if err != nil {
		return "", err
	}
	if _, err := t.approved(ctx, c, text(count)); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(w.g.Dir, "policy.cedar"), []byte(policy+more), 0o600); err != nil {
		return "", err
	}
	if err := syscall.Kill(w.g.PID, syscall.SIGHUP); err != nil {
		return "", err
	}
	for end := time.Now().Add(5 * time.Second); !strings.Contains(w.g.LogTail(), "policies"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return "", fmt.Errorf("the policies are not read again: %s", w.g.LogTail())
		}
	}
	time.Sleep(300 * time.Millisecond)
	t.send(c, text(count))
	n, err := w.effects(ctx, t.id)
	if err == nil && n != 0 {
		return fmt.Sprintf("%d effects under other policies", n), nil
	}
	return "", err
}
