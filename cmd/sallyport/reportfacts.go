package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sallyport/audit"
	"sallyport/audit/report"
	"sallyport/internal/config"
)

// What reports say of the configuration, and of what lies beside the records.

func have(name, format string, args ...any) report.Setting {
	return report.Setting{Name: name, State: fmt.Sprintf(format, args...)}
}

func lacking(name, format string, args ...any) report.Setting {
	return report.Setting{Name: name, State: fmt.Sprintf(format, args...), Missing: true}
}

// measure is have or lacking.
func measure(is bool, name, yes, no string) report.Setting {
	if is {
		return have(name, "%s", yes)
	}
	return lacking(name, "%s", no)
}

func retention(cfg *config.Config) []report.Setting {
	span := func(name string, s config.Span) report.Setting {
		if s == 0 {
			return lacking(name, "kept for good: `audit.retention` gives no span")
		}
		return have(name, "%d days", time.Duration(s)/(24*time.Hour))
	}
	r := cfg.File.Audit.Retention
	return []report.Setting{span("content: statements, parameters, reasons, rows, errors", r.Content), span("trace: who asked, under which policy, with what outcome", r.Trace)}
}

// defaults are what holds for everybody whom no policy frees from it.
func defaults(cfg *config.Config) []report.Setting {
	f := &cfg.File
	masks := map[string]int{}
	for _, m := range f.Masks {
		masks[m.Transform]++
	}
	var kinds []string
	for _, k := range slices.Sorted(maps.Keys(masks)) {
		kinds = append(kinds, fmt.Sprintf("%d %s", masks[k], k))
	}
	if len(kinds) == 0 {
		kinds = []string{"none configured"}
	}
	out := []report.Setting{
		have("what no policy permits", "is refused"),
		have("what is unknown", "is refused: unparsed statements, unknown functions and relations, errors of policies"),
		have("labelled columns", "are masked for whoever may not see them; %s", plural(len(f.Labels), "rule gives labels", "rules give labels")),
		have("masks by label", "%s; a label without one is redacted", strings.Join(kinds, ", ")),
		have("detectors", "look at all text without a label, and can only hide more"),
		have("principals", "%d configured", len(f.Principals)),
	}
	judged := 0
	for _, c := range cfg.Connections {
		if c.Judged != nil && !c.Judged.Show {
			judged++
		}
	}
	out = append(out, measure(judged == len(cfg.Connections) && judged > 0, "columns that nobody has judged", "are hidden, on all connections",
		fmt.Sprintf("are hidden on %d of %d connections: the others have no file of judgements (`sallyport classify`), or show them (`unjudged: show`)", judged, len(cfg.Connections))))
	if m := f.Detectors.Model; m != nil {
		out = append(out, have("model behind the detectors", "is asked; what it does not answer is hidden whole"))
	}
	return append(out, measure(f.Approvals.PurposeRequired, "reviewers name a purpose", "always", "when they like: `approvals.purpose_required`"),
		measure(len(f.Approvals.BreakGlass) == 0, "running without approval", "nobody may", "members of "+strings.Join(f.Approvals.BreakGlass, ", ")+" may break the glass, and it is looked at afterwards"))
}

// measures are those of article 32, with what shows them now.
func (o *reportOptions) measures(opt report.Options, now time.Time) ([]report.Setting, error) {
	var out []report.Setting
	out = append(out, have("encryption of the record", "each record under keys of its own (AES-256-GCM)"))
	if o.cfg != nil {
		out = append(out, measure(o.cfg.File.Audit.KeyEncryption != nil, "keys of records", "wrapped by a key that lies elsewhere", "lie beside the log unwrapped: `audit.key_encryption`"))
	}
	status := &auditOptions{app: o.app, data: o.data}
	s, err := status.readStatus()
	if err != nil {
		return nil, err
	}
	out = append(out, have("signed", "records 1 to %d of %d, %s", s.Signed.Size, s.Records, ago(s.Signed.Time, now)))
	switch {
	case s.Standing == nil || len(s.Witnesses) == 0:
		out = append(out, lacking("witnessed", "by nobody: `audit.witnesses` names none"))
	case s.Quorum == 0:
		out = append(out, lacking("witnessed", "not by the %d of %d witnesses that are needed", s.Needed, len(s.Witnesses)))
	default:
		out = append(out, have("witnessed", "up to record %d, by %d of %d witnesses", s.Quorum, s.seen(), len(s.Witnesses)))
	}
	if s.Standing != nil && s.Stamp != nil {
		out = append(out, have("timestamped", "up to record %d by %s", s.Stamp.Size, s.Stamp.Authority))
	} else {
		out = append(out, lacking("timestamped", "no"))
	}
	check, err := audit.Check(opt.Dir)
	if err != nil {
		return nil, err
	}
	if check.Sound() {
		out = append(out, have("record checked", "now, as a whole: %d records of %d sessions, sound", check.Records, check.Sessions))
	} else {
		out = append(out, lacking("record checked", "now: %s, the first: %s", plural(len(check.Problems), "problem", "problems"), check.Problems[0]))
	}
	if o.cfg == nil {
		return append(out, lacking("doors, policies", "not known without the configuration")), nil
	}
	out = append(out, have("policies", "version %s", o.version))
	out = append(out, doors(&o.cfg.File.Listen)...)
	e := o.cfg.File.Audit.Erasure
	return append(out, measure(len(e.Groups) > 0, "orders about the record", "by members of "+strings.Join(e.Groups, ", "), "by whoever can write the data directory: `audit.erasure`"),
		measure(e.DualControl, "erasures", "want two people", "want one person: `audit.erasure.dual_control`")), nil
}

// doors says of each whether what passes is encrypted.
func doors(l *config.Listen) []report.Setting {
	var out []report.Setting
	say := func(name, address string, tls, required bool) {
		switch {
		case tls && required:
			out = append(out, have("door "+name, "%s, TLS always", address))
		case tls:
			out = append(out, have("door "+name, "%s, TLS for clients that ask for it", address))
		default:
			out = append(out, lacking("door "+name, "%s, without TLS", address))
		}
	}
	if d := l.PGWire; d != nil {
		say("pgwire", d.Address, d.TLS != nil, d.RequireTLS)
	}
	if d := l.MCP; d != nil {
		say("mcp", d.Address, d.TLS != nil, true)
	}
	if d := l.Web; d != nil {
		say("web", d.Address, d.TLS != nil, true)
	}
	return out
}
