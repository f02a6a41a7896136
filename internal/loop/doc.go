// Package loop runs many sessions on few threads: a task looks like a goroutine and waits like an entry of an
// event loop. A statement passes four sockets' ends; with a goroutine a session, most of what the gateway
// spends on it is the runtime's scheduling and waking of threads.
//
// A task is a coroutine (iter.Pull). Where it would block, on a Conn or in Await, it goes back to its loop, which
// resumes it once there is something to do. What takes long is announced with Heavy and runs beside the loop.
//
// It trusts its tasks not to block in other ways: a task that does holds up all tasks of its loop. There is a
// loop on Linux only; elsewhere New fails and sessions stay goroutines. Start with Loop.Run.
package loop
