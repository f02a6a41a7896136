// Package fairness shares the connections that a door can hold among the addresses that they come from. As long as there is room everybody is let
// in, however many they are. When there is none, who has fewer than others takes the place of one of theirs: whoever holds a thousand keeps nobody
// out, and many people behind one address are not held to a small number while nobody else wants in.
//
// It trusts that an address costs something to have: of IPv6 the network (/64) counts, which is one customer's. It closes nothing; the door does.
package fairness

import "net/netip"

// Rank is what a connection has come to. Of an address that has to give a place, those of the lowest rank go first, and of these the oldest.
type Rank int

const (
	Begun Rank = iota // nothing was asked yet
	Idle              // an answer was given, and nothing is asked
	Busy              // an answer is being made
	Kept              // it has proven itself: nobody takes its place
)

// Room is a number of places. It is not safe for concurrent use: the door's own lock guards it.
type Room[C comparable] struct {
	most  int
	clock uint64
	held  map[C]*place
	of    map[netip.Prefix]int // places that can be taken away, by who has them
}

type place struct {
	from  netip.Prefix
	rank  Rank
	since uint64 // by the room's clock
}

// NewRoom makes a room for so many connections.
func NewRoom[C comparable](most int) *Room[C] {
	return &Room[C]{most: most, held: map[C]*place{}, of: map[netip.Prefix]int{}}
}

// Source is who an address ("host:port") belongs to: an IPv4 address, or a network of IPv6. What is none is all one.
func Source(address string) netip.Prefix {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return netip.Prefix{}
	}
	ip, bits := ap.Addr().Unmap().WithZone(""), 32
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// Enter gives c a place, where there is one. Where taken is true, lost is the connection that had it and has to be closed.
func (r *Room[C]) Enter(c C, from netip.Prefix) (lost C, taken, ok bool) {
	if len(r.held) >= r.most {
		if lost, taken = r.victim(r.of[from]); !taken {
			return lost, false, false
		}
		r.Leave(lost)
	}
	r.clock++
	r.held[c] = &place{from: from, since: r.clock}
	r.of[from]++
	return lost, taken, true
}

// victim is the connection that has to go for somebody who has so many; there is none where nobody has more, counted without the one that goes.
func (r *Room[C]) victim(has int) (lost C, found bool) {
	most := has + 1 // who has one more than the newcomer would only change places with them
	for _, n := range r.of {
		most = max(most, n)
	}
	if most <= has+1 {
		return lost, false
	}
	var worst *place
	for c, p := range r.held {
		if p.rank == Kept || r.of[p.from] != most {
			continue
		}
		if worst == nil || p.rank < worst.rank || p.rank == worst.rank && p.since < worst.since {
			lost, worst = c, p
		}
	}
	return lost, worst != nil
}

// Rank says what c has come to; it may have lost its place.
func (r *Room[C]) Rank(c C, rank Rank) {
	p := r.held[c]
	if p == nil || p.rank == rank {
		return
	}
	if rank == Kept {
		r.less(p.from)
	} else if p.rank == Kept {
		r.of[p.from]++
	}
	r.clock++
	p.rank, p.since = rank, r.clock
}

// Leave gives the place of c back, if it has one.
func (r *Room[C]) Leave(c C) {
	p := r.held[c]
	if p == nil {
		return
	}
	delete(r.held, c)
	if p.rank != Kept {
		r.less(p.from)
	}
}

// Len is how many places are held.
func (r *Room[C]) Len() int { return len(r.held) }

func (r *Room[C]) less(from netip.Prefix) {
	if r.of[from]--; r.of[from] <= 0 {
		delete(r.of, from)
	}
}
