package approval

import (
	"context"
	"fmt"
	"os/exec"

	"sallyport/evals/harness"
)

// lapsedAttacks use what a reviewer approved who was withdrawn since.
func lapsedAttacks() (out []attack) {
	// keeper2 is withdrawn and taken back within an attack; attacks of a world come one after the other.
	command := func(ctx context.Context, t *try, args ...string) error {
		bin, err := harness.Binary()
		if err != nil {
			return err
		}
		text, err := exec.CommandContext(ctx, bin, append(args, "--data", t.w.g.Data(), "--because", "an attack on approvals")...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%v: %w: %s", args, err, text)
		}
		return nil
	}
	window := map[string]any{"mode": "window", "classes": []string{"WRITE"}, "relations": []string{"update public.accounts", "select public.accounts"}, "until": soon()}
	form := map[string]any{"mode": "form", "uses": 5, "until": soon()}
	for name, grant := range map[string]map[string]any{"once": nil, "form": form, "window": window} {
		for how, more := range map[string][]string{"for-good": {"--for-good"}, "so-far": nil} {
			for _, s := range []stmt{text(count), extended(count)} {
				way := map[bool]string{false: "simple", true: "extended"}[s.extended]
				out = append(out, attack{family: "lapsed", name: name + "." + how + "." + way, run: func(ctx context.Context, t *try) error {
					c, err := t.client(ctx, "ada")
					if err != nil {
						return err
					}
					id, err := t.ask(c, s)
					if err != nil {
						return err
					}
					if err := t.w.decide(ctx, "keeper2", id, "approve", grant); err != nil {
						return err
					}
					if err := command(ctx, t, append([]string{"revoke", "--principal", "keeper2"}, more...)...); err != nil {
						return err
					}
					t.send(c, s)
					t.send(c, s)
					if err := t.before(ctx, 0); err != nil {
						return err
					}
					if err := command(ctx, t, "revoke", "undo", "--principal", "KEEPER2"); err != nil {
						return err
					}
					t.send(c, s) // what lapsed stays so
					// Asked anew, another's word lets it run.
					if id, err = t.w.newest(ctx); err != nil {
						return err
					}
					if err := t.w.decide(ctx, "keeper", id, "approve", nil); err != nil {
						return err
					}
					return t.still(ctx, c, s, 0)
				}})
			}
		}
	}
	return out
}
