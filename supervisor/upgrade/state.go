package upgrade

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"slices"
)

// A state is a file of four parts without gaps:
//
//	header    magic, format (32 bits), 32 bits unused, where the directory
//	          begins and how long it is (64 bits each), its SHA-256;
//	          integers are little-endian
//	sections  one after the other; the JSON of meta has the name ""
//	directory JSON, of each section its name, offset, length and SHA-256
//
// So it can be written in one go, without knowing how long a section gets,
// and no byte of it is outside of a checksum.
const (
	magic  = "stickyd state\n\r\n"
	format = 1

	// maxDirectory bounds what is held in memory of a file that may be anything.
	maxDirectory = 1 << 20
)

type header struct {
	Magic     [len(magic)]byte
	Format    uint32
	_         uint32
	Offset    int64
	Length    int64
	Directory [sha256.Size]byte
}

var headerSize = int64(binary.Size(header{}))

type section struct {
	Name   string `json:"name"`
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
	SHA256 []byte `json:"sha256"`
}

// write fills an empty file.
func write(f *os.File, meta any, blobs map[string]func(io.Writer) error) error {
	if _, reserved := blobs[""]; reserved {
		return errors.New("a section of the state needs a name")
	}
	w := &writer{file: bufio.NewWriterSize(f, 1<<16), hash: sha256.New()}
	if _, err := w.file.Write(make([]byte, headerSize)); err != nil {
		return err
	}
	w.offset = headerSize
	err := w.section("", func(to io.Writer) error { return json.NewEncoder(to).Encode(meta) })
	for _, name := range slices.Sorted(maps.Keys(blobs)) {
		if err == nil {
			err = w.section(name, blobs[name])
		}
	}
	if err != nil {
		return err
	}
	return w.finish(f)
}

// A writer writes sections and keeps the directory of them.
type writer struct {
	file      *bufio.Writer
	hash      hash.Hash // of the section under way
	offset    int64
	directory []section
}

func (w *writer) Write(b []byte) (int, error) {
	w.hash.Write(b)
	w.offset += int64(len(b))
	return w.file.Write(b)
}

func (w *writer) section(name string, fill func(io.Writer) error) error {
	began := w.offset
	w.hash.Reset()
	if err := fill(w); err != nil {
		return fmt.Errorf("section %q of the state: %w", name, err)
	}
	w.directory = append(w.directory, section{name, began, w.offset - began, w.hash.Sum(nil)})
	return nil
}

func (w *writer) finish(f *os.File) error {
	directory, err := json.Marshal(w.directory)
	if err != nil {
		return err
	}
	if len(directory) > maxDirectory {
		return fmt.Errorf("the state has too many sections: %d", len(w.directory))
	}
	h := header{Format: format, Offset: w.offset, Length: int64(len(directory)), Directory: sha256.Sum256(directory)}
	copy(h.Magic[:], magic)
	w.file.Write(directory) // Flush returns its error
	if err := w.file.Flush(); err != nil {
		return err
	}
	var head bytes.Buffer
	binary.Write(&head, binary.LittleEndian, h) // can't fail: the size is fixed
	_, err = f.WriteAt(head.Bytes(), 0)
	return err
}

// A State is what one program froze for another, read and verified. Its
// methods may be called from any goroutine until its file is closed.
type State struct {
	file     io.ReaderAt
	sections map[string]section
}

// Read verifies the whole of a file that [Write] made. It leaves the file's
// offset alone, which other processes may share. The State reads from the file
// for as long as it is used; the caller closes it.
func Read(f *os.File) (*State, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("the state: %w", err)
	}
	s, err := read(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("the state of %d bytes can't be used: %w", info.Size(), err)
	}
	return s, nil
}

func read(f io.ReaderAt, size int64) (*State, error) {
	var h header
	if err := binary.Read(io.NewSectionReader(f, 0, size), binary.LittleEndian, &h); err != nil {
		return nil, fmt.Errorf("its header is not all there: %w", err)
	}
	switch {
	case string(h.Magic[:]) != magic:
		return nil, errors.New("it is not a stickyd's")
	case h.Format != format:
		return nil, fmt.Errorf("it has format %d, and this program knows format %d only", h.Format, format)
	case h.Offset < headerSize || h.Length < 0 || h.Length > maxDirectory || h.Offset > size || h.Offset+h.Length != size:
		return nil, errors.New("it is truncated, or its header is corrupt")
	}
	text := make([]byte, h.Length)
	if _, err := f.ReadAt(text, h.Offset); err != nil {
		return nil, err
	}
	if sha256.Sum256(text) != h.Directory {
		return nil, errors.New("its directory is corrupt")
	}
	var directory []section
	if err := json.Unmarshal(text, &directory); err != nil {
		return nil, fmt.Errorf("its directory: %w", err)
	}
	return verified(f, directory, h.Offset)
}

// verified returns the State if its sections lie side by side up to end and
// are what they were.
func verified(f io.ReaderAt, directory []section, end int64) (*State, error) {
	s := &State{file: f, sections: make(map[string]section, len(directory))}
	offset := headerSize
	for _, one := range directory {
		if one.Offset != offset || one.Length < 0 || one.Length > end-offset {
			return nil, fmt.Errorf("section %q is not where it should be", one.Name)
		}
		hash := sha256.New()
		if _, err := io.Copy(hash, io.NewSectionReader(f, one.Offset, one.Length)); err != nil {
			return nil, fmt.Errorf("section %q: %w", one.Name, err)
		}
		if !bytes.Equal(hash.Sum(nil), one.SHA256) {
			return nil, fmt.Errorf("section %q is corrupt", one.Name)
		}
		s.sections[one.Name] = one
		offset += one.Length
	}
	if offset != end {
		return nil, errors.New("it has bytes that belong to no section")
	}
	return s, nil
}

// Meta decodes what Write was given as meta into v. Fields that v does not
// have are skipped: the program that wrote them may be newer.
func (s *State) Meta(v any) error {
	r, ok := s.Blob("")
	if !ok {
		return errors.New("the state has no JSON section")
	}
	if err := json.NewDecoder(r).Decode(v); err != nil {
		return fmt.Errorf("the state's JSON section: %w", err)
	}
	return nil
}

// Blob returns a reader of the section that Write was given under that name; ok
// is false if there is none.
func (s *State) Blob(name string) (r *io.SectionReader, ok bool) {
	one, ok := s.sections[name]
	if !ok {
		return nil, false
	}
	return io.NewSectionReader(s.file, one.Offset, one.Length), true
}
