package mask

import "encoding/json"

// Hide is Redact for findings that come from elsewhere: they are in order, do not overlap, and their kinds are made of
// letters, digits and underscores. Unlike those of the detectors they may end anywhere; a document that would be none
// without them is hidden whole.
func Hide(dst, src []byte, findings []Finding) []byte {
	h := newHiding(dst, src)
	for _, f := range findings {
		h.hide(f)
	}
	dst = h.end()
	if h.doc != nil && !json.Valid(dst[h.base:]) {
		dst = append(dst[:h.base], `"[redacted]"`...)
	}
	return dst
}

// hiding appends src to dst with findings replaced.
type hiding struct {
	dst, src []byte
	doc      *document
	base     int // where in dst it begins
	done     int // bytes of src that are in dst
	n        int // findings that were replaced
}

func newHiding(dst, src []byte) hiding {
	return hiding{dst: dst, src: src, doc: newDocument(src), base: len(dst)}
}

func (h *hiding) hide(f Finding) {
	bare := false
	if h.doc != nil {
		f, bare = h.doc.adjust(f)
	}
	if f.Start < h.done || f.End <= f.Start {
		return
	}
	h.dst = append(h.dst, h.src[h.done:f.Start]...)
	h.dst = appendKind(h.dst, f.Kind, bare)
	h.done = f.End
	h.n++
}

func (h *hiding) end() []byte {
	h.dst = append(h.dst, h.src[h.done:]...)
	if breaksXML(h.dst[h.base:], h.src) {
		h.dst = append(h.dst[:h.base], "<redacted/>"...)
	}
	return h.dst
}

func appendKind(dst []byte, kind string, quoted bool) []byte {
	if quoted {
		dst = append(dst, '"')
	}
	dst = append(dst, '[')
	dst = append(dst, kind...)
	dst = append(dst, ']')
	if quoted {
		dst = append(dst, '"')
	}
	return dst
}
