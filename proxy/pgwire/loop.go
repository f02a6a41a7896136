package pgwire

import (
	"encoding/binary"
	"errors"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/internal/pgframe"
)

// keepOps is how many operations' room a client keeps between bursts.
const keepOps = 16

// burst is what was cut out of the read buffer.
type burst struct {
	size int   // bytes taken
	need int   // bytes of the message that is not yet whole, 0 where not known
	then then  // what to do after the operations
	err  error // with stop: why
}

// then says how a burst ends.
type then byte

const (
	readOn       then = iota
	terminate         // Terminate
	functionCall      // FunctionCall: to be refused in its turn
	stop              // a message that ends the session
)

// loop serves bursts until the client leaves or is made to. Each turn cuts all whole messages out of what
// was read, has the core do them at once, and only then reads on: a client that sends faster than the
// database works is held back by its own socket.
func (c *conn) loop() error {
	for {
		b := c.cut()
		if len(c.ops) > 0 {
			if err := c.do(); err != nil {
				return err
			}
		}
		c.in.discard(b.size)
		switch b.then {
		case terminate:
			return nil
		case stop:
			return b.err
		case functionCall:
			if err := c.refuseFunctionCall(); err != nil {
				return err
			}
			continue
		}
		if c.srv.draining.Load() {
			return shuttingDown()
		}
		if c.ended.Load() { // the deadline that says so may have been set before the connection moved
			return gateway.ErrEnded
		}
		if err := c.in.fill(b.need); err != nil {
			c.skip = int64(b.need - len(c.in.window()))
			return c.readError(err)
		}
	}
}

// cut translates all whole messages of the read buffer into c.ops.
func (c *conn) cut() (b burst) {
	w := c.in.window()
	if c.ops == nil && len(w) > 0 {
		c.ops = make([]gateway.Op, 0, keepOps/2)
	}
	for {
		if len(w) < 5 {
			return b
		}
		typ, n := w[0], uint64(binary.BigEndian.Uint32(w[1:]))
		limit := maxOf(typ, c.srv.opt.MaxMessage)
		switch {
		case limit == 0:
			return b.end(protocolError("invalid frontend message type %d", typ))
		case n < 4:
			return b.end(protocolError("invalid message length"))
		case n > uint64(limit):
			c.skip = int64(n) + 1 - int64(len(w))
			return b.end(tooLarge(int(n), limit))
		}
		size := 1 + int(n)
		if len(w) < size {
			b.need = size
			return b
		}
		switch typ {
		case 'X':
			b.then = terminate
			return b
		case 'F':
			b.size += size
			b.then = functionCall
			return b
		}
		i := len(c.ops)
		if i < cap(c.ops) {
			c.ops = c.ops[:i+1]
		} else {
			c.ops = append(c.ops, gateway.Op{})
		}
		if !c.dec.decode(w[:size:size], &c.ops[i]) {
			c.ops = c.ops[:i]
			return b.end(protocolError("malformed message of type %q", typ))
		}
		b.size += size
		w = w[size:]
	}
}

func (b burst) end(err error) burst {
	b.then, b.err = stop, err
	return b
}

// do hands a burst to the core.
func (c *conn) do() error {
	c.busy.Store(c.srv.tick.Load())
	err := c.sess.Do(c.ctx, c.ops, &c.out)
	c.busy.Store(0)
	if len(c.ops) > keepOps {
		c.ops = nil
	} else {
		clear(c.ops) // they point into the read buffer
		c.ops = c.ops[:0]
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, gateway.ErrEnded):
		return err
	case c.ctx.Err() != nil:
		if c.srv.draining.Load() {
			return shuttingDown()
		}
		return errGone
	}
	return access.AsError(err)
}

// refuseFunctionCall answers the protocol's obsolete way around SQL, and around the guard. In the middle of an
// extended-query sequence the answer would be out of turn, so there the session ends.
func (c *conn) refuseFunctionCall() error {
	refusal := &access.Error{
		Kind: access.Unsupported, Code: "0A000", Message: "the FunctionCall message is not supported",
		Hint: "call the function in a statement: SELECT function(...)",
	}
	tx, synced := c.out.status()
	if !synced {
		return refusal
	}
	answer := appendError(nil, "ERROR", refusal)
	answer, at := pgframe.Begin(answer, 'Z')
	answer = pgframe.End(append(answer, tx), at)
	if err := c.out.Release(answer); err != nil {
		return errGone
	}
	return nil
}
