package watch

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// watched watches a directory until the test ends.
func watched(t *testing.T) (dir string, changed <-chan struct{}) {
	t.Helper()
	dir = t.TempDir()
	write(t, filepath.Join(dir, "a"), "1")
	ctx, cancel := context.WithCancel(context.Background())
	changes, ended := make(chan struct{}, 100), make(chan struct{})
	from := State([]string{dir})
	go func() {
		defer close(ended)
		files(ctx, []string{dir}, from, time.Millisecond, func(uint64) { changes <- struct{}{} })
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return dir, changes
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// expect makes the change until it is noticed: the first look may come after it.
func expect(t *testing.T, changed <-chan struct{}, change func(n int)) {
	t.Helper()
	late := time.After(time.Minute)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for n := 0; ; n++ {
		change(n)
		select {
		case <-changed:
			return
		case <-again.C:
		case <-late:
			t.Fatal("no change was noticed")
		}
	}
}

func TestChangesAreNoticed(t *testing.T) {
	dir, changed := watched(t)
	expect(t, changed, func(n int) { write(t, filepath.Join(dir, "a"), string(make([]byte, n+2))) })
	expect(t, changed, func(n int) { write(t, filepath.Join(dir, "deep", "er", "b"), string(make([]byte, n+1))) })
	expect(t, changed, func(n int) {
		os.Remove(filepath.Join(dir, "a"))
		if n%2 == 1 {
			write(t, filepath.Join(dir, "a"), "again")
		}
	})
}

// What was there before somebody looked again is noticed, and is where the next
// one goes on from.
func TestChangeThatNobodyLookedAt(t *testing.T) {
	dir := t.TempDir()
	paths := []string{dir}
	before := State(paths)
	write(t, filepath.Join(dir, "a"), "1")
	ctx, cancel := context.WithCancel(context.Background())
	var after uint64
	files(ctx, paths, before, time.Millisecond, func(now uint64) {
		after = now
		cancel()
	})
	if after == before || after != State(paths) {
		t.Errorf("it goes on from %d, after %d", after, before)
	}
}

func TestStateIsOfWhatIsLookedAt(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), "1")
	before := State([]string{dir})
	sub := filepath.Join(dir, "sub")
	write(t, filepath.Join(sub, "b"), "1")
	if State([]string{dir}) == before {
		t.Error("a new file makes no difference")
	}
	before = State([]string{dir})
	write(t, filepath.Join(sub, ".git", "index"), "1")
	write(t, filepath.Join(sub, ".b.swp"), "1")
	write(t, filepath.Join(sub, "node_modules", "x"), "1")
	if State([]string{dir}) != before {
		t.Error("what is to be ignored makes a difference")
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	before = State([]string{link})
	write(t, filepath.Join(sub, "c"), "1")
	if State([]string{link}) == before {
		t.Error("a new file behind a link makes no difference")
	}
	if State([]string{filepath.Join(dir, "none")}) != State(nil) {
		t.Error("what is not there counts")
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	if err := Check([]string{dir}); err != nil {
		t.Error(err)
	}
	nowhere, link := filepath.Join(dir, "nowhere"), filepath.Join(dir, "link")
	if err := os.Symlink(nowhere, link); err != nil {
		t.Fatal(err)
	}
	want := "cannot watch " + nowhere + ": there is no such file or directory\n" +
		"cannot watch " + link + ": there is no such file or directory"
	if err := Check([]string{nowhere, dir, link}); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
