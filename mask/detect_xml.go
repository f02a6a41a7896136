package mask

import (
	"bytes"
	"encoding/xml"
	"io"
)

// isXML tells whether src is well-formed XML content as PostgreSQL's xml takes it: a document, or text and
// elements in a row.
func isXML(src []byte) bool {
	d := xml.NewDecoder(bytes.NewReader(src))
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // it came in the client's encoding
	for {
		if _, err := d.Token(); err != nil {
			return err == io.EOF
		}
	}
}

// breaksXML tells whether hiding made of XML what is none: a finding can stand in a name, in a character
// reference, or before a "]>".
func breaksXML(out, src []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(src, " \t\r\n"), []byte("<")) && !isXML(out) && isXML(src)
}
