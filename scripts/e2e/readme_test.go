package e2e

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// A tryOut runs a command line of a README as a shell would, from the top of
// the checkout, and sees that it does what the text says.
type tryOut func(t *testing.T, shell string)

// readmeCommands are all command lines in the READMEs and what tries them out.
var readmeCommands = map[string]tryOut{
	"go run . demo": tryDemo,
	"scripts/test":  elsewhere, // it runs this
	"go run ./scripts/bench": func(t *testing.T, shell string) {
		tryToEnd("| new connections | stickyd |")(t, shell+" --quick --rounds 1 --only new,stickyd")
	},

	"go mod init myserver && go mod edit -replace github.com/stickyd/stickyd=../stickyd && go mod tidy && go build": tryOwnModule,

	"go build -o dist/ . && dist/stickyd --config stickyd.toml --check": tryToEnd("the configuration is valid"),

	"go build -o dist/ . ./examples/go-http && dist/stickyd -n 3 -l 127.0.0.1:3000 --session cookie:session -- dist/go-http": tryGoHTTP,

	"stickyd -n 2 -- node server.js": elsewhere, // workerproto/node/test/readme.test.mjs

	"go build -o dist/ . && npm --prefix examples/node-socketio ci && dist/stickyd -n 3 -l 127.0.0.1:3000 -- node examples/node-socketio/server.js": tryNodeSocketIO,
}

// elsewhere: scripts/test runs it, or it needs what a Go test has not.
func elsewhere(*testing.T, string) {}

var (
	shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```")
	goBlock    = regexp.MustCompile("(?ms)^```go\n(.*?)^```")
	tomlBlock  = regexp.MustCompile("(?ms)^```toml\n(.*?)^```")
)

func readREADME(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEveryCommandInTheReadmeWorks(t *testing.T) {
	text := readREADME(t, "README.md")
	dist := t.TempDir()
	config := strings.NewReplacer("./myserver", os.Args[0], "/run/", dist+"/").Replace(tomlBlock.FindStringSubmatch(text)[1])
	if err := os.WriteFile(filepath.Join(dist, "stickyd.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	here := strings.NewReplacer("dist/", dist+"/", "stickyd.toml", dist+"/stickyd.toml", "127.0.0.1:3000", "127.0.0.1:0")
	for _, block := range shellBlock.FindAllStringSubmatch(text, -1) {
		for line := range strings.Lines(block[1]) {
			line = strings.TrimSpace(line)
			t.Run(line, func(t *testing.T) {
				try := readmeCommands[line]
				if try == nil {
					t.Fatal("nothing tries this out; add it to readmeCommands")
				}
				try(t, here.Replace(line))
			})
		}
	}
}

// Links to other sites are not followed.
func TestLinksInOurTextsLeadToFiles(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]+)`)
	for _, path := range texts(t) {
		for _, m := range link.FindAllStringSubmatch(readREADME(t, path), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join("../..", filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}

// texts are the paths of all our Markdown, from the top of the checkout.
func texts(t *testing.T) (paths []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS("../.."), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || path != "." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case strings.HasSuffix(path, ".md"):
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil || len(paths) < 5 {
		t.Fatalf("%v: %v", paths, err)
	}
	return paths
}

// tryOwnModule builds the worker in Go as a module beside a clone.
func tryOwnModule(t *testing.T, shell string) {
	clone, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cmd := shellCommand(strings.ReplaceAll(shell, "../stickyd", clone))
	cmd.Dir = t.TempDir()
	program := goBlock.FindStringSubmatch(readREADME(t, "README.md"))[1]
	if err := os.WriteFile(filepath.Join(cmd.Dir, "main.go"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(cmd.Dir, "myserver")); err != nil {
		t.Error(err)
	}
}

// shellCommand runs a line in a process group of its own, as a terminal does.
func shellCommand(line string) *exec.Cmd {
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = "../.."
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// tryToEnd runs a command that ends by itself.
func tryToEnd(want string) tryOut {
	return func(t *testing.T, shell string) {
		out, err := shellCommand(shell).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%v; it printed:\n%s", err, out)
		}
	}
}

func tryDemo(t *testing.T, shell string) {
	s := launchCommand(t, shellCommand("exec "+shell+" -l 127.0.0.1:0"))
	page := s.awaitText(`The demo runs: (http://\S+/)`)
	resp, err := http.Get(page)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
	s.signal(syscall.SIGINT)
	s.wait()                     // go run has an exit status of its own when it is interrupted
	s.awaitText("(msg=stopped)") // the demo's log is for people
}

func tryGoHTTP(t *testing.T, shell string) {
	s := launchCommand(t, shellCommand(strings.Replace(shell, "&& ", "&& exec ", 1)))
	s.addr = s.await("listening", nil).str("addr")
	v := newVisitor(t, s.addr)
	for i := 1; i <= 3; i++ {
		if got := v.get(); got.count != i {
			t.Errorf("visit %d: sees %+v", i, got)
		}
	}
}

func tryNodeSocketIO(t *testing.T, shell string) {
	last := strings.LastIndex(shell, "&& ")
	s := launchCommand(t, shellCommand(shell[:last]+"&& exec "+shell[last+3:]))
	s.addr = s.await("listening", nil).str("addr")
	s.awaitN(3, "worker ready", nil)
	for range 6 {
		r, err := s.get("/socket.io/?EIO=4&transport=polling")
		if err != nil || r.status != http.StatusOK {
			t.Errorf("handshake: status %d, error %v", r.status, err)
		}
	}
}

// Those that the text of the benchmarks' README names.
func TestBenchmarksInTheReadmeRun(t *testing.T) {
	text := readREADME(t, "scripts/bench/README.md")
	for line, try := range map[string]tryOut{
		"go run ./scripts/bench": func(t *testing.T, shell string) {
			tryToEnd("| new connections | stickyd |")(t, shell+" --quick --rounds 1 --only new,stickyd")
		},
		"go run ./scripts/bench -node": func(t *testing.T, shell string) {
			tryToEnd("| new connections | Node primary, 2.0.1 |")(t, shell+" --quick --rounds 1 --only new,node-2.0.1")
		},
		"scripts/syscalls": tryToEnd("recvfrom         1.0"),
		"go test ./routing -bench .": func(t *testing.T, shell string) {
			tryToEnd("BenchmarkPurge")(t, shell+" -short -run xxx -benchtime 1x")
		},
	} {
		t.Run(line, func(t *testing.T) {
			if !strings.Contains(text, "`"+line+"`") {
				t.Error("that README does not name it any more")
			}
			try(t, line)
		})
	}
}

func TestWorkerInTheReadmeWorks(t *testing.T) {
	dir := t.TempDir()
	source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "hello")
	if err := os.WriteFile(source, []byte(goBlock.FindStringSubmatch(readREADME(t, "README.md"))[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gofmt", "-l", source).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("it is not gofmt-ed: %s%v", out, err)
	}
	if err := goBuild(program, source); err != nil {
		t.Fatal(err)
	}
	s, _ := startReady(t, 3, []string{program}, "--session", "cookie:session")
	for range 3 {
		v := newVisitor(t, s.addr)
		var workers []string
		for i := 1; i <= 3; i++ {
			resp, err := v.client.Get(v.site.String())
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			visit, worker, _ := strings.Cut(strings.TrimSpace(string(body)), ", ")
			if visit != fmt.Sprint("visit ", i) {
				t.Errorf("visit %d: %q", i, body)
			}
			workers = append(workers, worker)
		}
		if workers[0] != workers[1] || workers[1] != workers[2] {
			t.Error("one visitor, ", workers)
		}
	}
}
