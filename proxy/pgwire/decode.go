package pgwire

import (
	"encoding/binary"

	"sallyport/internal/gateway"
)

// smallMessage is PostgreSQL's PQ_SMALL_MESSAGE_LIMIT: messages of these types have no reason to be larger.
const smallMessage = 10000

// maxName is how much of a statement's or portal's name PostgreSQL looks at (NAMEDATALEN less the NUL).
// The core must not tell names apart that the database takes for one.
const maxName = 63

// maxOf is how long a message of a type may be, or 0 for a type that no client may send here.
func maxOf(typ byte, limit int) int {
	switch typ {
	case 'Q', 'P', 'B', 'd', 'F':
		return limit
	case 'D', 'E', 'C', 'H', 'S', 'X', 'c', 'f':
		return min(limit, smallMessage)
	}
	return 0
}

// decoder turns frames into operations. It keeps the last text and names that it saw, so that a client
// which repeats itself costs no allocation.
type decoder struct {
	sql, name, portal string
}

// keep bounds the text that a decoder remembers for an idle client.
const keep = 4 << 10

// decode reads one message into op. The strings of op are copies that may be kept; op.Raw is frame. ok is
// false for a body that is not exactly what its type asks for: a byte left over could mean something to
// somebody behind us.
func (d *decoder) decode(frame []byte, op *gateway.Op) (ok bool) {
	body := frame[5:]
	*op = gateway.Op{Kind: gateway.OpKind(frame[0]), Raw: frame}
	var text, name []byte
	switch op.Kind {
	case gateway.OpQuery:
		if text, body, ok = cutCString(body); !ok {
			return false
		}
		op.SQL = remember(&d.sql, text)
	case gateway.OpParse:
		if name, body, ok = cutCString(body); !ok {
			return false
		}
		if text, body, ok = cutCString(body); !ok || len(body) < 2 {
			return false
		}
		op.Name, op.SQL = d.named(name), remember(&d.sql, text)
		if op.ParamOIDs, body, ok = decodeOIDs(body); !ok {
			return false
		}
	case gateway.OpBind:
		var portal []byte
		if portal, body, ok = cutCString(body); !ok {
			return false
		}
		if name, body, ok = cutCString(body); !ok {
			return false
		}
		op.Portal, op.Name = d.portalNamed(portal), d.named(name)
		return len(body) >= 6 // three counts; the core reads the rest
	case gateway.OpDescribe, gateway.OpClose:
		if len(body) == 0 {
			return false
		}
		op.Target = body[0]
		if name, body, ok = cutCString(body[1:]); !ok {
			return false
		}
		switch op.Target {
		case 'S':
			op.Name = d.named(name)
		case 'P':
			op.Portal = d.portalNamed(name)
		default:
			return false
		}
	case gateway.OpExecute:
		if name, body, ok = cutCString(body); !ok || len(body) != 4 {
			return false
		}
		op.Portal, op.MaxRows = d.portalNamed(name), int32(binary.BigEndian.Uint32(body))
		return true
	case gateway.OpCopyData:
		return true
	case gateway.OpCopyFail:
		_, body, ok = cutCString(body)
		return ok && len(body) == 0
	case gateway.OpFlush, gateway.OpSync, gateway.OpCopyDone:
	default:
		return false
	}
	return len(body) == 0
}

func decodeOIDs(b []byte) (oids []uint32, rest []byte, ok bool) {
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; len(b) != 4*n {
		return nil, nil, false
	}
	if n > 0 {
		oids = make([]uint32, n) // the core keeps it with the statement
		for i := range oids {
			oids[i] = binary.BigEndian.Uint32(b[4*i:])
		}
	}
	return oids, nil, true
}

func (d *decoder) named(b []byte) string       { return remember(&d.name, b[:min(len(b), maxName)]) }
func (d *decoder) portalNamed(b []byte) string { return remember(&d.portal, b[:min(len(b), maxName)]) }

func remember(last *string, b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if string(b) == *last {
		return *last
	}
	s := string(b)
	if len(s) <= keep {
		*last = s
	}
	return s
}
