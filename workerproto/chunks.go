package workerproto

import "errors"

// A chunkScanner finds the end of a chunked body (RFC 9112, section 7.1) in
// what passes by. It is as strict as net/http, or stricter: what it refuses
// ends the connection there.
type chunkScanner struct {
	state chunkState
	left  int64 // bytes of the chunk's data still to come
	size  int64 // being read
	digit bool  // the size has a digit
	line  int   // bytes in this line of the trailer
}

type chunkState uint8

const (
	chunkSize    chunkState = iota // digits of a size
	chunkPad                       // blanks behind them
	chunkExt                       // behind ; to the end of the line
	chunkSizeLF                    // the LF behind the CR of that line
	chunkData                      // the data
	chunkDataCR                    // the CR behind it
	chunkDataLF                    // the LF behind that
	chunkTrailer                   // a line of the trailer; an empty one is the end
	chunkTrailLF                   // the LF behind a CR there
	chunkEnd
)

var errChunk = errors.New("malformed chunked body")

// maxChunk keeps a size from overflowing.
const maxChunk = 1 << 58

func (c *chunkScanner) done() bool { return c.state == chunkEnd }

// scan takes more of the body and returns what stands behind its end.
func (c *chunkScanner) scan(b []byte) (rest []byte, err error) {
	for len(b) > 0 && c.state != chunkEnd {
		if c.state == chunkData {
			n := min(c.left, int64(len(b)))
			c.left -= n
			b = b[n:]
			if c.left == 0 {
				c.state = chunkDataCR
			}
			continue
		}
		if err := c.step(b[0]); err != nil {
			return nil, err
		}
		b = b[1:]
	}
	return b, nil
}

// step takes one byte of what is not data.
func (c *chunkScanner) step(b byte) error {
	switch c.state {
	case chunkSize:
		return c.sizeByte(b)
	case chunkPad:
		switch b {
		case ' ', '\t':
		case '\r':
			c.state = chunkSizeLF
		case ';':
			c.state = chunkExt
		default:
			return errChunk
		}
	case chunkExt:
		switch b {
		case '\r':
			c.state = chunkSizeLF
		case '\n':
			return errChunk
		}
	case chunkSizeLF:
		return c.endSize(b)
	case chunkDataCR:
		c.state = chunkDataLF
		return expect(b, '\r')
	case chunkDataLF:
		c.state, c.size, c.digit = chunkSize, 0, false
		return expect(b, '\n')
	case chunkTrailer:
		return c.trailerByte(b)
	case chunkTrailLF:
		empty := c.line == 0
		c.state, c.line = chunkTrailer, 0
		if empty {
			c.state = chunkEnd
		}
		return expect(b, '\n')
	}
	return nil
}

func expect(got, want byte) error {
	if got != want {
		return errChunk
	}
	return nil
}

func (c *chunkScanner) sizeByte(b byte) error {
	var digit byte
	switch {
	case '0' <= b && b <= '9':
		digit = b - '0'
	case 'a' <= b && b <= 'f':
		digit = b - 'a' + 10
	case 'A' <= b && b <= 'F':
		digit = b - 'A' + 10
	case !c.digit || b == '\n':
		return errChunk
	case b == '\r':
		c.state = chunkSizeLF
		return nil
	case b == ';':
		c.state = chunkExt
		return nil
	case b == ' ' || b == '\t':
		c.state = chunkPad
		return nil
	default:
		return errChunk
	}
	if c.size >= maxChunk {
		return errChunk
	}
	c.size, c.digit = c.size<<4|int64(digit), true
	return nil
}

func (c *chunkScanner) endSize(b byte) error {
	c.state, c.left = chunkData, c.size
	if c.size == 0 {
		c.state, c.line = chunkTrailer, 0
	}
	return expect(b, '\n')
}

// trailerByte reads lines up to an empty one. net/http takes a bare LF for the
// end of a line here.
func (c *chunkScanner) trailerByte(b byte) error {
	switch {
	case b == '\r':
		c.state = chunkTrailLF
	case b == '\n' && c.line == 0:
		c.state = chunkEnd
	case b == '\n':
		c.line = 0
	default:
		c.line++
	}
	return nil
}
