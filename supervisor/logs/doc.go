// Package logs writes what stickyd has to say and what its workers print, as
// text for people or as JSON, keeps the last of it in rings for who asks later,
// and never makes anybody wait for whoever reads it: a log reader that hangs, or a
// disk that is full, must not stop supervision, nor a worker.
//
// # JSON
//
// A line is an object. It has these fields first, in this order, and then the
// attributes of the message:
//
//	time   when it happened, RFC 3339 with fractions of a second and the offset
//	level  DEBUG, INFO, WARN or ERROR
//	msg    what happened: one of a fixed number of texts
//
// Values are strings, lists of strings, numbers and booleans; a duration is a
// string such as "3ms" or "1m30s", a time a string as above. What a worker prints is
// the message "worker output", with the attributes slot, pid, stream (stdout or
// stderr) and line:
//
//	{"time":"2026-01-02T12:00:00.123456789Z","level":"INFO","msg":"worker ready","slot":1,"pid":4100,"after":"35ms"}
//	{"time":"2026-01-02T12:00:00.223456789Z","level":"INFO","msg":"worker output","slot":1,"pid":4100,"stream":"stdout","line":"hello"}
//
// stickyd logs --json and stickyd events --json print the same lines.
//
// # Text
//
// In a file, or a pipe, a record is a line of words, time=… level=… msg=… and the
// attributes; on a terminal it is shorter, wrapped, and in colours where these are
// wanted. Texts of several lines, as the last lines of a worker that died, follow
// below, indented. A worker's line is the line, with its slot in front: [1] hello.
// What a terminal would act on is escaped there, but for the workers' own colours.
package logs
