package supervisor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A relative command is looked for where stickyd was started, which may be gone.
func TestCommandThatIsNotThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "release")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	is := func(name, want string) {
		t.Helper()
		if err := CheckCommand([]string{name}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	is("./server", "is the path right, from "+dir+",")
	is("/nonexistent/server", "is the path right, and")
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	is("./server", "the directory in which stickyd was started is gone: start it again, with an absolute path")
	is("/nonexistent/server", "is the path right, and")
}
