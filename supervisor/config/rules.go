package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stickyd/stickyd/supervisor/cli"
)

// A rule says how one value is written. Its errors say what is allowed; who
// calls it says which value was wrong, and where.
type rule[T any] struct {
	form    form
	allowed string
	parse   func(text string) (T, error)
}

// number is a whole number from low to high.
func number(low, high int) rule[int] {
	return rule[int]{formInteger, fmt.Sprintf("%d to %d", low, high), func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		switch {
		case errors.Is(err, strconv.ErrSyntax):
			return 0, fmt.Errorf("must be a whole number between %d and %d", low, high)
		case err != nil || n < low || n > high:
			return 0, fmt.Errorf("must be between %d and %d", low, high)
		}
		return n, nil
	}}
}

// orAuto also allows "auto" for the number of CPUs that this process may use.
func orAuto(r rule[int]) rule[int] {
	return rule[int]{formMixed, "auto or " + r.allowed, func(text string) (int, error) {
		if text == "auto" {
			return r.parse(strconv.Itoa(min(runtime.GOMAXPROCS(0), 1024)))
		}
		n, err := r.parse(text)
		if err != nil {
			return 0, fmt.Errorf("%w, or auto", err)
		}
		return n, nil
	}}
}

// unless also allows a word, for value.
func unless[T any](word string, value T, r rule[T]) rule[T] {
	form := r.form
	if form == formInteger {
		form = formMixed
	}
	return rule[T]{form, word + " or " + r.allowed, func(text string) (T, error) {
		if text == word {
			return value, nil
		}
		v, err := r.parse(text)
		if err != nil {
			return v, fmt.Errorf("%w, or %s", err, word)
		}
		return v, nil
	}}
}

// units are powers of 1024, as systemd and ulimit have them.
const units = "KMGT"

// size is a number of bytes such as 512M, from low to high.
func size(low, high int64) rule[int64] {
	allowed := inUnits(low) + " to " + inUnits(high)
	return rule[int64]{formString, allowed, func(text string) (int64, error) {
		digits := strings.TrimRight(text, units)
		n, err := strconv.ParseUint(digits, 10, 63)
		unit := strings.Index(units, text[len(digits):])
		if err != nil || len(text) != len(digits)+1 || unit < 0 {
			return 0, fmt.Errorf("not a size: write for example 512M or 2G (%s)", allowed)
		}
		shift := 10 * (unit + 1)
		if n > uint64(high)>>shift || int64(n)<<shift < low {
			return 0, fmt.Errorf("must be between %s and %s", inUnits(low), inUnits(high))
		}
		return int64(n) << shift, nil
	}}
}

// inUnits writes a size with the largest unit that it is a multiple of.
func inUnits(n int64) string {
	unit := ""
	for i := 0; i < len(units) && n%1024 == 0; i++ {
		n, unit = n/1024, units[i:i+1]
	}
	return strconv.FormatInt(n, 10) + unit
}

// account is the name or number of a user or group. Whether there is one is
// found out where it is needed.
func account() rule[string] {
	const allowed = "a name or a number"
	return rule[string]{formMixed, allowed, func(text string) (string, error) {
		if text == "" || strings.ContainsAny(text, ": \t\n\x00") {
			return "", errors.New("must be " + allowed)
		}
		return text, nil
	}}
}

// duration is a time such as 10s, from low to high.
func duration(low, high time.Duration) rule[time.Duration] {
	allowed := brief(low) + " to " + brief(high)
	return rule[time.Duration]{formString, allowed, func(text string) (time.Duration, error) {
		d, err := time.ParseDuration(text)
		if err != nil {
			wrong := "not a duration"
			if _, err := strconv.ParseFloat(text, 64); err == nil {
				wrong = "missing unit in duration"
			}
			return 0, fmt.Errorf("%s: write for example 10s or 500ms (%s)", wrong, allowed)
		}
		if d < low || d > high {
			return 0, fmt.Errorf("must be between %s and %s", brief(low), brief(high))
		}
		return d, nil
	}}
}

// orOff also allows 0.
func orOff(r rule[time.Duration]) rule[time.Duration] {
	return rule[time.Duration]{formString, r.allowed + ", or 0 for off", func(text string) (time.Duration, error) {
		if d, err := time.ParseDuration(text); err == nil && d == 0 {
			return 0, nil
		}
		d, err := r.parse(text)
		if err != nil {
			return 0, fmt.Errorf("%w, or 0 for off", err)
		}
		return d, nil
	}}
}

// brief writes a duration without its parts that are zero: 10m, not 10m0s.
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// choice is one of the words.
func choice(words ...string) rule[string] {
	last := len(words) - 1
	allowed := strings.Join(words[:last], ", ") + " or " + words[last]
	return rule[string]{formString, allowed, func(text string) (string, error) {
		if slices.Contains(words, text) {
			return text, nil
		}
		return "", fmt.Errorf("must be %s%s", allowed, cli.DidYouMean(text, words, "%s"))
	}}
}

// orNone stores the word none as "".
func orNone(r rule[string]) rule[string] {
	return rule[string]{r.form, r.allowed, func(text string) (string, error) {
		word, err := r.parse(text)
		if word == "none" {
			word = ""
		}
		return word, err
	}}
}

// signal allows a name in any case and with SIG in front.
func signal(r rule[string]) rule[string] {
	return rule[string]{r.form, r.allowed, func(text string) (string, error) {
		if upper := strings.TrimPrefix(strings.ToUpper(text), "SIG"); upper != "NONE" {
			text = upper
		}
		return r.parse(text)
	}}
}

// maxSocketPath is the longest path that fits a Unix socket's address with its
// ending zero.
const maxSocketPath = 107

var hostname = regexp.MustCompile(`^[A-Za-z0-9._-]*$`)

// address is a place to listen on.
func address() rule[string] {
	const allowed = "host:port, :port, [::1]:port or unix:/path"
	return rule[string]{formString, allowed, func(text string) (string, error) {
		if path, ok := strings.CutPrefix(text, "unix:"); ok {
			return text, checkSocketPath(path)
		}
		host, port, err := net.SplitHostPort(text)
		if err != nil {
			if _, err := strconv.ParseUint(text, 10, 16); err == nil {
				return "", fmt.Errorf("must be %s; did you mean :%s?", allowed, text)
			}
			return "", errors.New("must be " + allowed)
		}
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return "", errors.New("the port must be a number between 0 and 65535")
		}
		if _, err := netip.ParseAddr(host); err != nil && !hostname.MatchString(host) {
			return "", errors.New("the host must be a name or an IP address, as in " + allowed)
		}
		return text, nil
	}}
}

func checkSocketPath(path string) error {
	switch {
	case path == "":
		return errors.New("needs a path, as in unix:/run/stickyd.sock")
	case len(path) > maxSocketPath:
		return fmt.Errorf("the path is %d bytes long; a socket's path has at most %d", len(path), maxSocketPath)
	}
	return withoutNUL(path)
}

// session is a place where a request may carry its session's id. Only the word
// before the colon is checked, and that something follows it.
func session() rule[string] {
	const allowed = "query:NAME, header:NAME, cookie:NAME, path:/PATTERN or none"
	examples := map[string]string{"query": "sid", "header": "Mcp-Session-Id", "cookie": "JSESSIONID", "path": "/echo/{}"}
	return rule[string]{formString, allowed, func(text string) (string, error) {
		if text == "none" {
			return text, nil
		}
		source, rest, _ := strings.Cut(text, ":")
		if example := examples[source]; example != "" {
			if rest == "" {
				return "", fmt.Errorf("a name or pattern must follow the colon, as in %s:%s", source, example)
			}
			return text, nil
		}
		words := []string{"query", "header", "cookie", "path", "none"}
		return "", fmt.Errorf("must be %s%s", allowed, cli.DidYouMean(source, words, "%s"))
	}}
}

// network is a range of IP addresses, or one address.
func network() rule[netip.Prefix] {
	const allowed = "an IP address, or a range such as 10.0.0.0/8"
	return rule[netip.Prefix]{formString, allowed, func(text string) (netip.Prefix, error) {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, err := netip.ParseAddr(text)
			if err != nil || addr.Zone() != "" {
				return netip.Prefix{}, errors.New("must be " + allowed)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		return unmap(prefix).Masked(), nil
	}}
}

// unmap gives an IPv4 range that was written as IPv6, ::ffff:10.0.0.0/104, its
// IPv4 form: only that one contains IPv4 addresses.
func unmap(prefix netip.Prefix) netip.Prefix {
	const mapped = 128 - 32
	if addr := prefix.Addr(); addr.Is4In6() && prefix.Bits() >= mapped {
		return netip.PrefixFrom(addr.Unmap(), prefix.Bits()-mapped)
	}
	return prefix
}

// reserved starts the names of the variables that stickyd itself gives workers.
const reserved = "STICKYD_"

// variable is NAME=VALUE. Its errors never show the value: it may be a secret.
func variable() rule[string] {
	const allowed = "names that start with " + reserved + " are reserved"
	return rule[string]{formTable, allowed, func(text string) (string, error) {
		name, _, found := strings.Cut(text, "=")
		switch {
		case !found:
			return "", errors.New("must be NAME=VALUE")
		case name == "":
			return "", errors.New("the variable's name must not be empty")
		case strings.HasPrefix(name, reserved):
			return "", errors.New(allowed)
		}
		return text, withoutNUL(text)
	}}
}

// argument is one word of a command.
func argument() rule[string] {
	return rule[string]{formString, "", func(text string) (string, error) { return text, withoutNUL(text) }}
}

// withoutNUL refuses what the kernel cannot be given as a string.
func withoutNUL(text string) error {
	if strings.ContainsRune(text, 0) {
		return errors.New("must not hold a NUL byte")
	}
	return nil
}

// path is the name of a file.
func path() rule[string] {
	return rule[string]{formString, "", func(text string) (string, error) {
		if text == "" {
			return "", errors.New("must be the path of a file")
		}
		return text, nil
	}}
}

// controlSocket is the path of a Unix socket, auto or off. A word without a slash
// is more likely to be a mistake than a file in the working directory.
func controlSocket() rule[string] {
	allowed := fmt.Sprintf("auto, off, or a path with a slash in it, of at most %d bytes", maxSocketPath)
	return rule[string]{formString, allowed, func(text string) (string, error) {
		if text == "auto" || text == "off" || strings.ContainsRune(text, '/') && len(text) <= maxSocketPath {
			return text, withoutNUL(text)
		}
		return "", fmt.Errorf("must be %s", allowed)
	}}
}

// yes is a flag that needs no value.
func yes() rule[bool] {
	return rule[bool]{formBoolean, "", func(text string) (bool, error) {
		value, err := strconv.ParseBool(text)
		if err != nil {
			return false, errors.New("takes no value")
		}
		return value, nil
	}}
}
