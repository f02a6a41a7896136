// Package office takes orders about the record: to erase, to hold, to lift a hold. It says who may give which, has the
// log carry them out, and hands back what came of it with a certificate.
//
// It trusts the log, and its caller for telling who stands behind credentials. It refuses everybody where nobody is
// named who may give orders and two have to agree; agents always, once people are named; and whoever wants to confirm
// what they have proposed. A refusal is recorded. Whoever can write the log's folder can destroy keys without asking
// here: what an office gives is a record of who agreed, and a habit.
//
// Where to start: Office.Do.
package office
