// Package notify tells people that something waits for them, and how it ended: by signed webhooks, in Slack, in Microsoft Teams,
// by email.
//
// It reads the log, not the engine of approvals: each step of a request is on record before it is made, so what was not
// sent when the gateway ended is sent after its next start. Order, cursors, retries and state are those of audit/export,
// for which each channel is a receiver of records of kind review.
//
// A message says who asks for what, and leads to the page where it is decided. It never has parameters, rows or an
// error of the database, and the text of a statement only where a channel is told to. What requesters wrote is marked as claimed, cannot
// break out of its place, and holds no links. Nobody can decide in a message: who holds a channel's secret, or
// answers in its name, approves nothing.
//
// Start at Open; message.go says what is told, webhook.go, slack.go, teams.go and mail.go in which form.
package notify
