package evidence

import (
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Vouched is what makes a bundle's checkpoint worth something to those who do not trust the log's operator. All of it may be
// empty.
type Vouched struct {
	LogKey   string // the log's first public key, where it is not the one that signs the bundle
	KeyNotes []byte // notes in which each key of the log introduces the next (checkpoint.keys)
	Policy   []byte // who the witnesses are whose cosignatures are on the checkpoint (C2SP tlog-policy)

	Stamped []byte         // a checkpoint of the log, no newer than the bundle's
	Token   []byte         // what an authority said of it (RFC 3161, DER)
	Grown   tlog.TreeProof // that the bundle's checkpoint continues it
}

// files are those of the bundle.
func (v *Vouched) files() []File {
	var out []File
	add := func(name string, data []byte) {
		if len(data) > 0 {
			out = append(out, File{name, data})
		}
	}
	if v.LogKey != "" {
		add("log.pub", []byte(v.LogKey+"\n"))
		add("log.keys", v.KeyNotes)
	}
	add("witnesses.policy", v.Policy)
	if len(v.Token) > 0 {
		var lines strings.Builder
		for _, h := range v.Grown {
			lines.WriteString(h.String() + "\n")
		}
		add("timestamp.checkpoint", v.Stamped)
		add("timestamp.tsr", v.Token)
		add("timestamp.consistency", []byte(lines.String()))
	}
	return out
}
