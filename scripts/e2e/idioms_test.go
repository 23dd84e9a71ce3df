package e2e

import (
	"errors"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stickyd/stickyd/workerproto"
)

// idioms are the ways in which programs end behind net/http's Serve.
var idioms = map[string]func(error){
	"log.Fatal": func(err error) { log.Fatal(err) },
	"compared": func(err error) {
		if err != nil && err != http.ErrServerClosed {
			log.Fatal(err)
		}
	},
	"errors.Is": func(err error) {
		if !errors.Is(err, http.ErrServerClosed) {
			log.Fatal(err)
		}
	},
}

// runIdiom is a worker that ends so.
func runIdiom(name string) {
	w, err := workerproto.Listen("127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	idioms[name](w.Serve(&http.Server{Handler: http.NotFoundHandler()}))
}

// stopsAsAsked stops stickyd and checks that each worker that it has had ended
// with that status, and that none has died.
func (s *server) stopsAsAsked(workers int, exit string) {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	if status := s.wait(); status != 0 {
		s.t.Error("stickyd's exit status is", status)
	}
	stopped, _ := s.find("worker stopped", nil)
	for _, e := range stopped {
		if e.str("exit") != exit || e.str("level") != "INFO" {
			s.t.Errorf("a worker stopped with %v, want %s", e, exit)
		}
	}
	if died, _ := s.find("worker died", nil); len(stopped) != workers || len(died) > 0 {
		s.t.Errorf("%d workers stopped, want %d; %d died", len(stopped), workers, len(died))
	}
}

// However a program ends that was to: it has stopped, and not crashed.
func TestEndOfServeIsNoCrash(t *testing.T) {
	for idiom := range idioms {
		t.Run(idiom, func(t *testing.T) {
			exit := "exit status 0"
			if idiom == "log.Fatal" {
				exit = "exit status 1"
			}
			s, _, control := controlled(t, 2, worker("idiom", idiom), "--min-ready", "0s")
			mustAsk(t, "restart", control)
			st := askStatus(t, control)
			for _, w := range st.Workers {
				if w.Restarts != 1 || w.Crashes != 0 || w.Deaths != 0 || w.LastExit != "" {
					t.Errorf("%+v", w)
				}
			}
			for _, slot := range st.Slots {
				if slot.Ends["stopped"] != 1 || len(slot.Ends) != 1 {
					t.Errorf("slot %d: ends %v", slot.Slot, slot.Ends)
				}
			}
			s.stopsAsAsked(4, exit)
			printed, _ := s.find("worker output", func(e event) bool { return strings.Contains(e.str("line"), "http: Server closed") })
			if fatal := idiom == "log.Fatal"; fatal != (len(printed) == 4) {
				t.Errorf("%d workers printed that their server was closed", len(printed))
			}
		})
	}
}

// What people copy ends with status 0.
func TestProgramsToCopyEndWell(t *testing.T) {
	readme := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(readme, []byte(goBlock.FindStringSubmatch(readREADME(t, "README.md"))[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{readme, "../../examples/go-http"} { // examples/go-socketio has a test of its own
		t.Run(filepath.Base(dir), func(t *testing.T) {
			s, _ := startReady(t, 2, []string{build(t, dir)})
			s.stopsAsAsked(2, "exit status 0")
		})
	}
	t.Run("demo", func(t *testing.T) {
		s := launch(t, "demo", "-l", "127.0.0.1:0", "-n", "2", "--log-format", "json")
		s.awaitN(2, "worker ready", nil)
		s.stopsAsAsked(2, "exit status 0")
	})
}
