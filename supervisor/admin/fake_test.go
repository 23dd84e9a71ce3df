package admin

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stickyd/stickyd/supervisor/logs"
)

// fake is a stickyd that is asked.
type fake struct {
	status      Status
	remaining   remainder
	explanation Explanation
	log         *logs.Logs

	once    sync.Once
	stopped chan struct{} // closed by the first Stop

	asked  chan any     // buffered: what an operation was asked for
	script []string     // what operations say
	gate   chan error   // operations end with what comes here; nil: at once
	caller chan *Caller // buffered: of Upgrade
}

func newFake(t *testing.T) *fake {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	log := logs.New("text", "info", null, null)
	t.Cleanup(func() {
		log.Close()
		null.Close()
	})
	return &fake{
		log: log, stopped: make(chan struct{}),
		asked: make(chan any, 10), caller: make(chan *Caller, 1),
	}
}

// remainder is what the end waits for.
type remainder string

func (r remainder) String() string { return string(r) }

func (f *fake) Remaining() fmt.Stringer        { return f.remaining }
func (f *fake) Status() Status                 { return f.status }
func (f *fake) Logs() *logs.Ring[logs.Line]    { return f.log.Lines() }
func (f *fake) Events() *logs.Ring[logs.Event] { return f.log.Events() }
func (f *fake) Stop()                          { f.once.Do(func() { close(f.stopped) }) }
func (f *fake) Upgrade(binary string, c *Caller) {
	f.asked <- binary
	f.caller <- c
}

func (f *fake) Explain(id []byte) Explanation {
	f.asked <- string(id)
	return f.explanation
}

func (f *fake) operate(what any, say func(string)) error {
	f.asked <- what
	for _, line := range f.script {
		say(line)
	}
	if f.gate != nil {
		return <-f.gate
	}
	return nil
}

func (f *fake) Restart(o RestartOptions, say func(string)) error { return f.operate(o, say) }
func (f *fake) Scale(s Scale, say func(string)) error            { return f.operate(s, say) }
func (f *fake) Drain(slot int, say func(string)) error           { return f.operate(slot, say) }
func (f *fake) Cancel(say func(string)) error                    { return f.operate("cancel", say) }
func (f *fake) Reload(say func(string)) error                    { return f.operate("reload", say) }

// print lets a worker print lines.
func (f *fake) print(slot int, texts ...string) {
	for _, text := range texts {
		f.log.Line(slot, 100+slot, logs.Stdout, []byte(text))
	}
}
