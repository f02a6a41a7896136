// Package regress runs PostgreSQL's own regression suite through the PostgreSQL door, with a
// principal who may do everything, beside a direct run: the suite knows 217 files' worth of what a
// server says, to the byte.
//
// Source, server and client come from the machine's own Debian archive, all of one version (psql's
// output belongs to the suite as well), into a folder of this program; nothing is installed. The
// direct run is the yardstick: a test counts as passed through the door when pg_regress says so.
//
// Where to start: Main. What differs and why is explained in differences.md.
package regress
