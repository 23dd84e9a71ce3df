//go:build unix && !linux

package fdpass

// NewPage returns ErrNoPages.
func NewPage() (p *Page, fd int, err error) { return nil, -1, ErrNoPages }

// MapPage returns ErrNoPages.
func MapPage(int) (*Page, error) { return nil, ErrNoPages }

// Unmap does nothing.
func (p *Page) Unmap() {}
