package demo

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"net/http"
)

//go:embed page
var pageFiles embed.FS

// index is filled in with who serves it; everything else on the page is got by
// its scripts.
var index = template.Must(template.ParseFS(pageFiles, "page/index.html"))

// contentPolicy lets the page load its own files and talk to where it came
// from, and nothing else.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// addPage serves page/index.html as / and its other files by their names.
// Workers are all the same program, so the files of one page may well come
// from several of them.
func (s *server) addPage(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", s.page)
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err)
	}
	for ext, contentType := range contentTypes {
		names, err := fs.Glob(files, "*"+ext)
		if err != nil {
			panic(err)
		}
		for _, name := range names {
			mux.HandleFunc("GET /"+name, func(rw http.ResponseWriter, r *http.Request) {
				rw.Header().Set("Content-Type", contentType)
				// The next demo at this address may be another version.
				rw.Header().Set("Cache-Control", "no-store")
				http.ServeFileFS(rw, r, files, name)
			})
		}
	}
}

// contentTypes are of the page's files. The system's idea of them, which
// package mime would ask for, may differ, and nosniff makes browsers strict.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

func (s *server) page(rw http.ResponseWriter, r *http.Request) {
	slots := []int{s.slot}
	if s.workers > 0 {
		slots = make([]int, s.workers)
		for i := range slots {
			slots[i] = i + 1
		}
	}
	var b bytes.Buffer
	if err := index.Execute(&b, map[string]any{"Worker": s.slot, "PID": s.pid, "Slots": slots}); err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	rw.Header().Set("Cache-Control", "no-store")
	rw.Write(b.Bytes())
}
