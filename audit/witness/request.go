package witness

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Request asks a witness to cosign a checkpoint.
type Request struct {
	Old        int64          // the size that the witness is believed to be at
	Proof      tlog.TreeProof // that the checkpoint's tree continues the one of that size (RFC 6962, 2.1.2)
	Checkpoint []byte         // signed
}

const (
	maxProof    = 63       // C2SP tlog-witness
	maxBody     = 64 << 10 // of requests and answers; a proof and a cosigned checkpoint take about 4 KiB
	contentSize = "text/x.tlog.size"
)

var errRequest = errors.New("malformed request")

// Format writes a request's body.
func (r Request) Format() []byte {
	b := fmt.Appendf(nil, "old %d\n", r.Old)
	for _, h := range r.Proof {
		b = append(b, h.String()+"\n"...)
	}
	return append(append(b, '\n'), r.Checkpoint...)
}

// ParseRequest reads a request's body. It does not look into the checkpoint.
func ParseRequest(body []byte) (Request, error) {
	head, msg, ok := bytes.Cut(body, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	old, err := parseSize(strings.TrimPrefix(lines[0], "old "))
	if !ok || err != nil || !strings.HasPrefix(lines[0], "old ") || len(lines) > 1+maxProof {
		return Request{}, errRequest
	}
	r := Request{Old: old, Checkpoint: msg}
	for _, line := range lines[1:] {
		h, err := tlog.ParseHash(line)
		if err != nil || h.String() != line {
			return Request{}, errRequest
		}
		r.Proof = append(r.Proof, h)
	}
	return r, nil
}

// parseSize reads a number that has one way of being written.
func parseSize(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s {
		return 0, errRequest
	}
	return n, nil
}
