// Package report answers questions of the GDPR from the record: what was used for which purpose, and for what share of
// it somebody said why (Principles, article 5), on which lawful basis (Lawfulness, 6), who consulted a person's data and why
// (Access, 15), what was erased, and what was kept from it (Erasures, 17), whom the defaults protect (Design, 25), what is
// processed for what purpose and for whom (Processing, 30), which measures are taken (Security, 32), what an identity has seen
// (Breach, 33), and where tasks went beyond what they said (Drift, 5(1)(b)).
//
// It trusts the record and knows nothing that is not in it. Each report says what it cannot tell, with counts: values
// that the detectors had hidden before they were recorded, rows that were not kept, records that were erased. Reports
// are for people who decide; they decide nothing.
//
// Where to start: read in read.go, then the report's own file. Text in text.go prints all of them.
package report
