package address

import "fmt"

// Explain returns an error that says in words of its own what cause is, and is that
// to errors.Is and errors.As.
func Explain(cause error, format string, args ...any) error {
	return &explained{fmt.Sprintf(format, args...), cause}
}

type explained struct {
	text  string
	cause error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.cause }
