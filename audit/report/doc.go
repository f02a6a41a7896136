// Package report answers questions of the GDPR from the record: who consulted a person's data and why (Access, article
// 15), what is processed for what purpose and for whom (Processing, article 30), what an identity has seen (Breach,
// article 33), and where tasks went beyond what they said (Drift, article 5(1)(b)).
//
// It trusts the record and knows nothing that is not in it. Each report says what it cannot tell, with counts: values
// that the detectors had hidden before they were recorded, rows that were not kept, records that were erased. Reports
// are for people who decide; they decide nothing.
//
// Where to start: read in read.go, then the report's own file. Text in text.go prints all of them.
package report
