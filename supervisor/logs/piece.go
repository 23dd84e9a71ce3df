package logs

// pieceSize is how many bytes are written at once, unless one record is longer: a
// pipe takes as many whole or not at all (PIPE_BUF, pipe(7)).
const pieceSize = 4096

// A piece is some whole records.
type piece struct {
	text    []byte
	ends    []int // where each of them ends in text
	size    int   // bytes, when it was filled
	written int   // bytes of text
}

// add returns false if the record is too much.
func (p *piece) add(record []byte) bool {
	if len(p.text) > 0 && len(p.text)+len(record) > pieceSize {
		return false
	}
	p.text = append(p.text, record...)
	p.ends = append(p.ends, len(p.text))
	p.size = len(p.text)
	return true
}

// rest is what is not written.
func (p *piece) rest() []byte { return p.text[p.written:] }

// whole returns how many records are written, and where the next one begins.
func (p *piece) whole() (n, at int) {
	for n < len(p.ends) && p.ends[n] <= p.written {
		at = p.ends[n]
		n++
	}
	return n, at
}

// cut is what is written of a record that is written in part, if there is one.
func (p *piece) cut() []byte {
	_, at := p.whole()
	return p.text[at:p.written]
}

// anew returns a piece of the records that are not written whole. If newline is
// set they begin on a line of their own.
func (p *piece) anew(newline bool) piece {
	rest := piece{size: p.size}
	if newline {
		rest.text = append(rest.text, '\n')
	}
	for _, record := range p.records() {
		rest.text = append(rest.text, record...)
		rest.ends = append(rest.ends, len(rest.text))
	}
	return rest
}

// records returns those that are not written whole.
func (p *piece) records() (all [][]byte) {
	n, at := p.whole()
	for _, end := range p.ends[n:] {
		all = append(all, p.text[at:end])
		at = end
	}
	return all
}

// A queue is what is to be written.
type queue struct {
	waiting []*piece
	writing *piece // returned by next, until it is called again
	bytes   int    // of both
}

func (q *queue) add(record []byte) {
	q.bytes += len(record)
	if n := len(q.waiting); n > 0 && q.waiting[n-1].add(record) {
		return
	}
	p := new(piece)
	p.add(record)
	q.waiting = append(q.waiting, p)
}

// next returns the next piece, to which nothing is added any more, or nil.
func (q *queue) next() *piece {
	if q.writing != nil {
		q.bytes -= q.writing.size
		q.writing = nil
	}
	if len(q.waiting) > 0 {
		q.writing = q.waiting[0]
		q.waiting[0] = nil
		q.waiting = q.waiting[1:]
	}
	return q.writing
}
