package fdpass

import "errors"

// A Page is memory that two processes share: what one stores with package
// sync/atomic the other loads. One process makes it and sends its descriptor,
// the other maps what it received. Its size can't be changed, so that neither
// can pull it away from under the other.
type Page struct {
	mem []byte
}

// PageSize is the size of a Page in bytes.
const PageSize = 4096

// ErrNoPages is returned where processes can't share memory in this way.
var ErrNoPages = errors.New("fdpass: no shared pages on this system")

// Bytes returns the memory, which is aligned to its size, and nil after Unmap.
func (p *Page) Bytes() []byte { return p.mem }
