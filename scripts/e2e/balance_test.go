package e2e

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"testing"
)

const sigTerm = syscall.SIGTERM

// handshakes starts n sessions, so many at once, and counts them by slot.
func (s *server) handshakes(n, concurrency int) map[int]int {
	s.t.Helper()
	var mu sync.Mutex
	counts := make(map[int]int)
	parallel(n, concurrency, func(int) {
		r, err := s.get("/handshake")
		if err != nil || r.status != http.StatusOK {
			s.t.Error("handshake:", r.status, err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		counts[r.Slot]++
	})
	return counts
}

// replace kills the worker in a slot and waits for the next one.
func (s *server) replace(slot, pid int) (heir int) {
	s.t.Helper()
	syscall.Kill(pid, syscall.SIGKILL)
	return s.await("worker ready", func(e event) bool { return e.num("slot") == slot && e.num("pid") != pid }).num("pid")
}

func TestLeastConnectionSpreadsABurst(t *testing.T) {
	s, _ := startReady(t, 4, worker("app"), "--balance", "least-connection")
	counts := s.handshakes(1000, 1000)
	t.Log("1000 handshakes at once:", counts)
	for slot := 1; slot <= 4; slot++ {
		if n := counts[slot]; n < 200 || n > 300 {
			t.Errorf("worker %d got %d of 1000, want 200 to 300", slot, n)
		}
	}
}

func TestLeastConnectionDoesNotFloodAReplacement(t *testing.T) {
	s, pids := startReady(t, 4, worker("app"), "--balance", "least-connection")
	s.handshakes(400, 50)
	s.replace(2, pids[2])
	counts := s.handshakes(100, 50)
	t.Log("100 handshakes after worker 2 was replaced:", counts)
	if n := counts[2]; n < 40 || n > 60 {
		t.Errorf("the replacement got %d of 100 new sessions, want about half of them", n)
	}
}

func TestRoundRobinTakesTurns(t *testing.T) {
	s, pids := startReady(t, 3, worker("app"), "--balance", "round-robin")
	check := func() {
		t.Helper()
		last := s.mustGet("/whoami").Slot
		for range 9 {
			slot := s.mustGet("/whoami").Slot
			if slot != last%3+1 {
				t.Fatalf("worker %d follows worker %d", slot, last)
			}
			last = slot
		}
	}
	check()
	s.replace(2, pids[2])
	check()
}

func TestRandomUsesAll(t *testing.T) {
	s, pids := startReady(t, 3, worker("app"), "--balance", "random")
	s.replace(3, pids[3])
	counts := s.handshakes(300, 20)
	for slot := 1; slot <= 3; slot++ {
		if n := counts[slot]; n < 50 { // 100 expected, 6 standard deviations less
			t.Errorf("worker %d got %d of 300: %v", slot, n, counts)
		}
	}
}

// slotsOf returns which slot each of n clients reaches, twice.
func slotsOf(t *testing.T, n int, ask func(i int) reply) map[int]int {
	t.Helper()
	slots := make(map[int]int)
	for i := range n {
		slots[i] = ask(i).Slot
		if again := ask(i).Slot; again != slots[i] {
			t.Errorf("client %d reached worker %d and then %d", i, slots[i], again)
		}
	}
	return slots
}

// checkAffinity sees that clients keep their slots, that these are spread, and
// that they come back after a worker was replaced.
func checkAffinity(t *testing.T, s *server, pids map[int]int, ask func(i int) reply) {
	t.Helper()
	before := slotsOf(t, 60, ask)
	counts := make(map[int]int)
	for _, slot := range before {
		counts[slot]++
	}
	if len(counts) != 3 {
		t.Errorf("60 clients reach workers %v", counts)
	}
	s.replace(1, pids[1])
	after := slotsOf(t, 60, ask)
	for i, slot := range before {
		if after[i] != slot {
			t.Errorf("client %d moved from worker %d to %d", i, slot, after[i])
		}
	}
}

func TestClientAddressKeepsAClientAtItsWorker(t *testing.T) {
	s, pids := startReady(t, 3, worker("app"), "--balance", "client-address", "--session", "none")
	checkAffinity(t, s, pids, func(i int) reply {
		conn := dialFrom(t, netip.AddrFrom4([4]byte{127, 0, 2, byte(i)}), s.addr)
		defer conn.Close()
		return s.exchange(conn, "GET /whoami HTTP/1.1\r\nHost: x\r\n\r\n")
	})
}

func TestForwardedForGoesByTheRightMostUntrustedAddress(t *testing.T) {
	s, pids := startReady(t, 3, worker("app"), "--balance", "forwarded-for", "--trusted-proxy", "10.0.0.0/8")
	ask := func(chain string) reply {
		return s.mustGetWith("/whoami", http.Header{"X-Forwarded-For": {chain}})
	}
	checkAffinity(t, s, pids, func(i int) reply { return ask(fmt.Sprintf("192.0.2.%d", i)) })
	for i := range 20 {
		client := fmt.Sprintf("192.0.2.%d", i)
		want := ask(client).Slot
		for _, chain := range []string{client + ", 10.1.2.3", "198.51.100.7, " + client + ",10.0.0.1, 10.0.0.2", client + ":4711"} {
			if got := ask(chain).Slot; got != want {
				t.Errorf("%q reached worker %d, want %d", chain, got, want)
			}
		}
	}
}

func TestForwardedForFallsBackToThePeersAddress(t *testing.T) {
	s, pids := startReady(t, 3, worker("app"), "--balance", "forwarded-for")
	checkAffinity(t, s, pids, func(i int) reply {
		conn := dialFrom(t, netip.AddrFrom4([4]byte{127, 0, 3, byte(i)}), s.addr)
		defer conn.Close()
		return s.exchange(conn, "GET /whoami HTTP/1.1\r\nHost: x\r\n\r\n")
	})
}
