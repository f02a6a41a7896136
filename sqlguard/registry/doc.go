// Package registry knows every function, operator, type and system relation that a PostgreSQL server
// brings along, and says what calling or reading it amounts to.
//
// The lists are data: functions.tsv, relations.tsv, operators.txt and types.txt, one line a name, kept
// by hand with the help of the generator in gen/. A name that is not listed is not known, and the
// guard refuses what is not known; nothing is classified by a pattern or by volatility, because a
// STABLE function such as table_to_xml reads whole tables. TestServerIsCovered asks a running server
// for all its names and fails on one that is missing here. The lists were made from PostgreSQL 14.23,
// 15.20, 16.14, 17.10 and 18.4; a name has one class in all of them.
//
// Where overloads of a name differ, the class is that of the most dangerous one, unless the note says
// why not. Start at Function.
package registry
