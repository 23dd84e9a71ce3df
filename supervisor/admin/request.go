package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Limits of a request's body.
const (
	bodyBytes = 64 << 10
	bodyTime  = 5 * time.Second
)

// body reads the body of a request.
func body(rw http.ResponseWriter, r *http.Request) ([]byte, error) {
	limits := http.NewResponseController(rw)
	limits.SetReadDeadline(time.Now().Add(bodyTime))
	defer limits.SetReadDeadline(time.Time{}) // or the answer would be cut off, too
	b, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, bodyBytes))
	if err != nil {
		return nil, fmt.Errorf("cannot read the request: %w", err)
	}
	return b, nil
}

// asked reads what is asked for, in JSON; an empty body is the zero value. A
// field that is not known is an error: it was meant to make a difference.
func asked[T any, P interface {
	*T
	check() error
}](rw http.ResponseWriter, r *http.Request) (what T, err error) {
	b, err := body(rw, r)
	if err != nil {
		return what, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&what); err != nil && !errors.Is(err, io.EOF) {
		return what, fmt.Errorf("the request is not understood: %w", err)
	}
	return what, P(&what).check()
}

func fail(rw http.ResponseWriter, status int, err error) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	json.NewEncoder(rw).Encode(map[string]string{"error": err.Error()})
}
