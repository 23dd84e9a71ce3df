package supervisor

import (
	"os"
	"os/exec"
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
	is("./server", "a relative path starts at "+dir)
	is("/nonexistent/server", "check the path")
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	is("./server", "the directory in which stickyd was started is gone: start it again, with an absolute path")
	is("/nonexistent/server", "check the path")
}

func TestScriptWhoseInterpreterIsNotThere(t *testing.T) {
	script := filepath.Join(t.TempDir(), "server")
	if err := os.WriteFile(script, []byte("#!/nonexistent/node\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := startError([]string{script}, exec.Command(script).Run())
	if want := "not the interpreter that its first line names"; !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}
