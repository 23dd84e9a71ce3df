// Package admin is the control socket of a running stickyd, the commands that
// talk to it, and its metrics.
//
// The socket is a Unix socket of the user's own, on which HTTP is spoken, with
// bodies in JSON:
//
//	GET  /v1/status   a [Status]
//	POST /v1/stop     stops stickyd; a [Progress] a line until it is done, and
//	                  then nothing until the process ends
//
// An error is a status from 400 on with {"error": "..."}. Fields may be added
// within a version, and are never renamed or taken away.
//
// The package reads what it is given and knows no other room.
package admin
