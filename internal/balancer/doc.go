// Package balancer is for doors that stand behind a load balancer: it reads the PROXY protocol header, version 2
// (https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt), and gives connections the address of the client that the balancer saw.
//
// It trusts the sources that the configuration names, and nobody else: from them a header is demanded, from others none is looked for,
// so that one which is sent arrives at the door as what it is there, garbage. It refuses version 1, addresses that are not of TCP,
// headers of more than 4 KiB, wrong checksums, and clients on loopback told of by a machine that is not.
//
// Exactly the header's bytes are read, and the socket stays the connection: nothing behind the header is held in a buffer, so that the
// connection can move to an event loop. Start with Listen.
package balancer
