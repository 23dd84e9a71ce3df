package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/stickyd/stickyd/supervisor/cli"
)

// An entry is one key of the file, or one key of its table env.
type entry struct {
	key   toml.Key // one part, or "env" and the variable's name
	value any
	line  int
}

// parseTOML returns the keys of a TOML text in their order. The error is one of
// syntax, and names the file and the line.
func parseTOML(name, text string) ([]entry, error) {
	text = strings.TrimPrefix(text, "\ufeff") // or positions would be off
	doc := document{text: text}
	var err error
	if doc.meta, err = toml.Decode(text, &doc.top); err != nil {
		return nil, syntaxError(name, text, err)
	}
	return doc.entries(), nil
}

// A document is a parsed file that can tell where its keys are.
type document struct {
	text string
	meta toml.MetaData
	top  map[string]toml.Primitive
}

func (d *document) entries() []entry {
	var all []entry
	seen := make(map[string]bool)
	for _, full := range d.meta.Keys() {
		key := full[:1]
		if full[0] == "env" && d.isTable(key) {
			if len(full) == 1 {
				continue // the line [env] itself
			}
			key = full[:2]
		}
		if seen[key.String()] {
			continue
		}
		seen[key.String()] = true
		primitive, _ := d.find(key)
		_, line := d.find(full) // "a" has no place of its own in a.b = 1
		all = append(all, entry{key, d.value(primitive), line})
	}
	return all
}

// find returns the value of a key, and the line of the last part of it that has
// one.
func (d *document) find(key toml.Key) (value toml.Primitive, line int) {
	table := d.top
	for _, part := range key {
		value = table[part]
		if here := d.line(value); here > 0 {
			line = here
		}
		table = nil
		d.meta.PrimitiveDecode(value, &table) // stays nil if this is no table
	}
	return value, line
}

func (d *document) value(p toml.Primitive) (value any) {
	d.meta.PrimitiveDecode(p, &value) // cannot fail for any
	return value
}

func (d *document) isTable(key toml.Key) bool {
	primitive, _ := d.find(key)
	_, ok := d.value(primitive).(map[string]any)
	return ok
}

// line returns where a value stands, or 0 if it has no place of its own. The
// library keeps positions to itself and shows them only in errors that stop
// decoding, so this decodes into something that always stops it.
func (d *document) line(p toml.Primitive) int {
	var stopped toml.ParseError
	if !errors.As(d.meta.PrimitiveDecode(p, new(refusal)), &stopped) || stopped.Position.Line == 0 {
		return 0
	}
	return lineAt(d.text, stopped.Position)
}

type refusal struct{}

func (*refusal) UnmarshalTOML(any) error { return errors.New("refused, to learn the position") }

// lineAt returns the number of the line where a position starts. Its own number
// is that of the end, which is another one behind a string of several lines.
// Start may lie just outside of the text.
func lineAt(text string, at toml.Position) int {
	start := min(max(at.Start, 0), len(text))
	return 1 + strings.Count(text[:start], "\n")
}

// syntaxError puts the library's error on one line, with file and line number.
func syntaxError(name, text string, err error) error {
	var e toml.ParseError
	if !errors.As(err, &e) {
		return fmt.Errorf("%s: %w", name, err)
	}
	line := lineAt(text, e.Position)
	message := strings.Join(strings.Fields(e.Message), " ")
	return fmt.Errorf("%s:%d: %s%s", name, line, message, howWritten(strings.Split(text, "\n")[line-1]))
}

var assignment = regexp.MustCompile(`^\s*([A-Za-z0-9_-]+)\s*[=:]`)

// howWritten returns a hint about the key that a line sets, unless the line is
// fine by itself: values without their quotes are the commonest slip.
func howWritten(line string) string {
	match := assignment.FindStringSubmatch(line)
	if match == nil {
		return ""
	}
	o := byFlag(cli.Plain(match[1]))
	if o == nil || o.place == flagOnly || o.kind.form == formTable {
		return ""
	}
	if _, err := toml.Decode(line, new(map[string]any)); err == nil {
		return ""
	}
	return fmt.Sprintf("; write it as in %s = %s", o.key(), o.inFile())
}
