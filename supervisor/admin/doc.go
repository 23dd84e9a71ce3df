// Package admin is the control socket of a running stickyd, the commands that
// talk to it, and its metrics.
//
// The socket is a Unix socket of the user's own, on which HTTP is spoken, with
// bodies in JSON. These look, and are answered at once:
//
//	GET  /v1/status   a [Status]
//	GET  /v1/logs     the last lines of workers, ?n=LINES of them, of ?slot=SLOT:
//	                  a [LogLine] a line, and a [Mark] where some are missing
//	GET  /v1/events   the last records of stickyd's log, ?n=EVENTS: a [LogEvent] a line
//	POST /v1/explain  an [Explanation] of the session whose id is the body, raw
//
// In them a LogLine has its text as "line", a LogEvent its attributes in an object,
// and both a number. What the commands print with --json is another shape, that of
// the log, see package logs.
//
// Logs and events with ?follow=1 go on with what comes, until a [Mark] that says
// why they end. The header Stickyd-History of an answer names the history, and
// Stickyd-After says where in it the answer begins; ?of=HISTORY&after=SEQ goes on
// from there, in a new history from its beginning.
//
// These change something. Each answers with a [Progress] a line until it is done,
// and goes on if nobody waits for that:
//
//	POST /v1/restart  [RestartOptions]
//	POST /v1/scale    a [Scale]
//	POST /v1/drain    {"slot": SLOT}
//	POST /v1/reload
//	POST /v1/upgrade  {"binary": PATH}, or nothing for the one that runs
//	POST /v1/cancel   ends the operation under way, if there is one
//	POST /v1/stop     stops stickyd; after the last line there is nothing until
//	                  the process ends
//
// An error is a status from 400 on with {"error": "..."}. Fields may be added
// within a version, and are never renamed or taken away.
//
// The package reads what it is given and knows no other room.
package admin
