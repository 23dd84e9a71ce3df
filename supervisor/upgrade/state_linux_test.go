package upgrade

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

type testMeta struct {
	Name string
	N    []int
}

func writeTestState(t *testing.T) *os.File {
	t.Helper()
	f, err := Write(testMeta{"x", []int{1, 2}}, map[string]func(io.Writer) error{
		"table": func(w io.Writer) error { _, err := w.Write(bytes.Repeat([]byte("table"), 100_000)); return err },
		"empty": func(io.Writer) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestStateComesBack(t *testing.T) {
	f := writeTestState(t)
	for range 2 { // reading leaves no trace
		s, err := Read(f)
		if err != nil {
			t.Fatal(err)
		}
		var meta testMeta
		if err := s.Meta(&meta); err != nil || meta.Name != "x" || len(meta.N) != 2 {
			t.Error(meta, err)
		}
		for name, want := range map[string]int{"table": 500_000, "empty": 0} {
			r, ok := s.Blob(name)
			if !ok || r.Size() != int64(want) {
				t.Fatal(name, ok)
			}
			if b, err := io.ReadAll(r); err != nil || !bytes.Equal(b, bytes.Repeat([]byte("table"), want/5)) {
				t.Error(name, len(b), err)
			}
		}
		if _, ok := s.Blob("other"); ok {
			t.Error("there is a section that nobody wrote")
		}
	}
}

func TestStateIsSealed(t *testing.T) {
	f := writeTestState(t)
	if _, err := f.WriteAt([]byte("x"), 100); !errors.Is(err, unix.EPERM) {
		t.Error("writing:", err)
	}
	for _, size := range []int64{10, 10_000_000} {
		if err := f.Truncate(size); !errors.Is(err, unix.EPERM) {
			t.Error("truncating:", err)
		}
	}
}

func TestSectionThatFailsMakesNoState(t *testing.T) {
	broken := errors.New("broken")
	f, err := Write(nil, map[string]func(io.Writer) error{"table": func(io.Writer) error { return broken }})
	if f != nil || !errors.Is(err, broken) || !strings.Contains(err.Error(), "table") {
		t.Error(f, err)
	}
}

// changed is a copy of the state with other bytes.
func changed(t *testing.T, f *os.File, change func(b []byte) []byte) *os.File {
	t.Helper()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<30))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(path, change(b), 0o600); err != nil {
		t.Fatal(err)
	}
	other, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	return other
}

func TestStateThatIsNotWhole(t *testing.T) {
	tests := []struct {
		name   string
		change func(b []byte) []byte
		says   string
	}{
		{"empty", func(b []byte) []byte { return nil }, "not all there"},
		{"cut in the header", func(b []byte) []byte { return b[:40] }, "not all there"},
		{"cut", func(b []byte) []byte { return b[:len(b)/2] }, "truncated"},
		{"longer", func(b []byte) []byte { return append(b, 0) }, "truncated"},
		{"something else", func(b []byte) []byte { copy(b, "#!/bin/sh"); return b }, "not a stickyd's"},
		{"of the future", func(b []byte) []byte { binary.LittleEndian.PutUint32(b[16:], 2); return b }, "format 2"},
		{"a directory without end", func(b []byte) []byte {
			binary.LittleEndian.PutUint64(b[32:], 1<<62)
			return b
		}, "corrupt"},
		{"directory changed", func(b []byte) []byte { b[len(b)-3] ^= 1; return b }, "directory is corrupt"},
		{"section changed", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, `section "table" is corrupt`},
	}
	f := writeTestState(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Read(changed(t, f, tt.change)); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, which does not say %q", err, tt.says)
			}
		})
	}
}

func TestEveryByteOfTheStateIsVerified(t *testing.T) {
	f := writeTestState(t)
	info, _ := f.Stat()
	for range 100 {
		at := rand.Int64N(info.Size())
		if at >= 20 && at < 24 {
			continue // unused
		}
		other := changed(t, f, func(b []byte) []byte { b[at] ^= 0x10; return b })
		if _, err := Read(other); err == nil {
			t.Errorf("byte %d can change", at)
		}
		other.Close()
	}
}
