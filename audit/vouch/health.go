package vouch

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"sallyport/audit/internal/show"
)

// Health is who did not answer, as the gateway that asked has left it. Nobody has signed it.
type Health struct {
	Error string    `json:"error"`
	Since time.Time `json:"since"`
}

// authorities is the name of all of them together; witnesses have "witness " in front.
const authorities = "timestamping"

// publish leaves who does not answer for other processes, when it changes. It is no promise, so it is not synced.
func (v *Voucher) publish() {
	now := map[string]Health{}
	note := func(name string, err error) {
		if err == nil {
			return
		}
		h := Health{Error: show.Clean(err.Error()), Since: time.Now().UTC().Truncate(time.Second)}
		if old, ok := v.health[name]; ok {
			h.Since = old.Since
		}
		now[name] = h
	}
	for i, s := range v.feeder.Status() {
		note("witness "+v.opt.Policy.Witnesses[i].Name, s.Err)
	}
	note(authorities, v.stamping.err)
	same := len(now) == len(v.health)
	for name, h := range now {
		same = same && v.health[name] == h
	}
	if same && v.published {
		return
	}
	v.health, v.published = now, true
	path := filepath.Join(v.opt.Dir, Folder, healthFile)
	text, err := json.Marshal(now)
	if err == nil {
		err = os.WriteFile(path+".tmp", text, 0o644)
	}
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err != nil {
		v.opt.Log.Warn("the state of the witnesses could not be written", "error", err)
	}
}

// readHealth gives none where there is no file, or what is in it cannot be read: nothing rests on it.
func readHealth(dir string) map[string]Health {
	out := map[string]Health{}
	if text, err := os.ReadFile(filepath.Join(dir, healthFile)); err == nil {
		_ = json.Unmarshal(text, &out)
	}
	return out
}
