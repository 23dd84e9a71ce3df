//go:build unix && !linux

package front

// hangups watches nothing: a connection waits until its time is over.
type hangups struct{}

func (*hangups) open()  {}
func (*hangups) close() {}

func (*hangups) watch(int, func(func())) (closed <-chan struct{}, forget func()) {
	return nil, func() {}
}

func hungUp(int) (half, gone bool) { return false, false }
