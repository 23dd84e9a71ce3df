package demo

import (
	"io/fs"
	"net"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(s *server, path string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	s.handler().ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
	return rec
}

func TestPageSaysWhoServesIt(t *testing.T) {
	tests := []struct {
		name          string
		slot, workers int
		boxes         []string
	}{
		{"with stickyd", 2, 3, []string{"1", "2", "3"}},
		{"without stickyd", 0, 0, []string{"0"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(&book{})
			s.slot, s.workers = tt.slot, tt.workers
			body := get(s, "/").Body.String()
			list, _, _ := strings.Cut(body, "<template")
			if boxes := regexp.MustCompile(`class="worker" data-slot="(\d+)"`).FindAllStringSubmatch(list, -1); len(boxes) != len(tt.boxes) {
				t.Errorf("%d boxes; want %v", len(boxes), tt.boxes)
			} else {
				for i, box := range boxes {
					if box[1] != tt.boxes[i] {
						t.Errorf("box %d is for slot %s; want %s", i, box[1], tt.boxes[i])
					}
				}
			}
			if !strings.Contains(body, `data-pid="4711"`) {
				t.Error("the page does not name the pid")
			}
		})
	}
}

// Everything that a file of the page refers to is served, with the right type,
// and nothing is fetched from elsewhere.
func TestPageIsComplete(t *testing.T) {
	s := newServer(&book{})
	reference := regexp.MustCompile(`(?:href|src)="([^"]+)"|from '\./([^']+)'`)
	names, err := fs.Glob(pageFiles, "page/*")
	if err != nil || len(names) < 2 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		text, err := pageFiles.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range reference.FindAllStringSubmatch(string(text), -1) {
			rec := get(s, "/"+m[1]+m[2])
			if rec.Code != 200 || strings.Contains(m[1], ":") {
				t.Errorf("%s refers to %s: %d", name, m[1]+m[2], rec.Code)
			}
		}
		if strings.HasSuffix(name, ".html") {
			continue
		}
		rec := get(s, strings.TrimPrefix(name, "page"))
		want := contentTypes[name[strings.LastIndex(name, "."):]]
		if got := rec.Header().Get("Content-Type"); rec.Code != 200 || got != want || want == "" {
			t.Errorf("%s: %d, %q; want %q", name, rec.Code, got, want)
		}
	}
	if rec := get(s, "/nothing.js"); rec.Code != 404 {
		t.Errorf("a file that is not there: %d", rec.Code)
	}
}

// The policy forbids what is inline; a browser would only complain in its
// console.
func TestPageKeepsItsOwnPolicy(t *testing.T) {
	rec := get(newServer(&book{}), "/")
	h := rec.Header()
	if h.Get("Content-Security-Policy") != contentPolicy || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers: %v", h)
	}
	inline := regexp.MustCompile(`<style|\sstyle=|\son\w+=|<script[^>]*>[^<]|javascript:`)
	if found := inline.FindString(rec.Body.String()); found != "" {
		t.Errorf("the page has %q in it", found)
	}
	names, err := fs.Glob(pageFiles, "page/*.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := pageFiles.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if found := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function`).Find(text); found != nil {
			t.Errorf("%s uses %s", name, found)
		}
	}
}

func TestURL(t *testing.T) {
	tests := []struct {
		name string
		addr net.Addr
		want string
	}{
		{"loopback", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 3000}, "http://127.0.0.1:3000/"},
		{"any IPv4 address", &net.TCPAddr{IP: net.IPv4zero, Port: 3000}, "http://localhost:3000/"},
		{"any address", &net.TCPAddr{IP: net.IPv6unspecified, Port: 80}, "http://localhost:80/"},
		{"any address, unnamed", &net.TCPAddr{Port: 3000}, "http://localhost:3000/"},
		{"IPv6", &net.TCPAddr{IP: net.IPv6loopback, Port: 3000}, "http://[::1]:3000/"},
		{"IPv6 with a zone", &net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0", Port: 3000}, "http://[fe80::1%25eth0]:3000/"},
		{"Unix socket", &net.UnixAddr{Net: "unix", Name: "/run/s.sock"}, "curl --unix-socket /run/s.sock http://localhost/whoami"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := URL(tt.addr); got != tt.want {
				t.Errorf("URL(%v) = %q; want %q", tt.addr, got, tt.want)
			}
		})
	}
}
