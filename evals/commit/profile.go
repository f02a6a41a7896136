package commit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"strconv"
	"strings"
)

// parts are where the processor time of a record can go, by functions that have it below them and not below one another.
var parts = []struct {
	name      string
	functions []string
}{
	{"sealing: keys, encoding, AES-256-GCM", []string{"sallyport/audit.(*keyMaker).appendBody"}},
	{"hashing: leaves and trees, of the log and of sessions", []string{"sallyport/audit.sessionLeaf", "sallyport/audit.(*growth).addFrames", "sallyport/audit.state.apply"}},
	{"writing and syncing, in the kernel", []string{"sallyport/audit.writeAll", "sallyport/audit.osFile.Sync"}},
	{"checksums of frames", []string{"sallyport/audit.appendFrame"}},
	{"waking and scheduling callers", []string{"runtime.mcall", "runtime.mstart", "runtime.closechan", "runtime.futex"}},
	{"collecting garbage", []string{"runtime.gcBgMarkWorker"}},
}

var topLine = regexp.MustCompile(`^\s*\S+\s+\S+\s+\S+\s+(\d+(?:\.\d+)?)ms\s+\S+\s+(.+)$`)

// profile runs the log alone with 32 callers and tells where its processor time goes.
func profile(o Options) (string, error) {
	out, err := os.MkdirTemp(o.Dir, "profile-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(out)
	path := filepath.Join(out, "cpu.pprof")
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return "", err
	}
	c, err := measure(stores[0], o.Dir, 32, 2*o.Time)
	pprof.StopCPUProfile()
	if err != nil {
		return "", err
	}
	text, err := exec.Command("go", "tool", "pprof", "-top", "-cum", "-nodecount=100000", "-nodefraction=0", "-unit=ms", path).Output()
	if err != nil {
		return "", fmt.Errorf("go tool pprof: %w", err)
	}
	spent := map[string]float64{}
	total := 0.0
	for line := range strings.Lines(string(text)) {
		if m := regexp.MustCompile(`Total samples = ([\d.]+)ms`).FindStringSubmatch(line); m != nil {
			total, _ = strconv.ParseFloat(m[1], 64)
		}
		if m := topLine.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			ms, _ := strconv.ParseFloat(m[1], 64)
			spent[strings.TrimSuffix(m[2], " (inline)")] += ms
		}
	}
	if total == 0 {
		return "", fmt.Errorf("no samples in\n%s", text)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "### Where the processor time of a record goes\n\nThe log alone with 32 callers, %.0f records/s, %.1f us of processor time each:\n\n| | share |\n|---|---|\n", c.perSecond, c.cpu)
	rest := total
	for _, p := range parts {
		var ms float64
		for _, f := range p.functions {
			ms += spent[f]
		}
		rest -= ms
		fmt.Fprintf(&b, "| %s | %.0f%% |\n", p.name, 100*ms/total)
	}
	fmt.Fprintf(&b, "| all else | %.0f%% |\n", 100*max(rest, 0)/total)
	return b.String(), nil
}
