package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/stickyd/stickyd/supervisor/cli"
)

// maxFile is the largest file that is read, in bytes. A configuration is never
// that long; a device or a log given by mistake may be endless.
const maxFile = 1 << 20

// fromFile reads the file at path into settings, in the order of its lines.
func fromFile(path string) ([]setting, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read --config: %w", located(path, err))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read --config: %w", err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("cannot read --config: %s is longer than %d bytes", path, maxFile)
	}
	return fromText(path, string(data))
}

// located says of an error of opening path where that is, which who reads the file
// again long after the start may not know.
func located(path string, err error) error {
	var of *fs.PathError
	if filepath.IsAbs(path) || !errors.As(err, &of) {
		return err
	}
	dir, wdErr := os.Getwd()
	if wdErr != nil {
		return fmt.Errorf("%w: the directory in which stickyd was started is gone; start it again, with an absolute path", err)
	}
	return &fs.PathError{Op: of.Op, Path: filepath.Join(dir, path), Err: of.Err}
}

// fromText reads TOML; name is what messages call its file. The error is one of
// syntax. What is wrong with a single key comes with its setting.
func fromText(name, text string) ([]setting, error) {
	entries, err := parseTOML(name, text)
	if err != nil {
		return nil, err
	}
	settings := make([]setting, len(entries))
	for i, e := range entries {
		s := e.setting()
		s.where = fmt.Sprintf("%s:%d: %s", name, e.line, s.where)
		if s.err != nil {
			s.err = fmt.Errorf("%s:%d: %w", name, e.line, s.err)
		}
		settings[i] = s
	}
	return settings, nil
}

// setting makes a setting of an entry; what it says does not yet name the file.
func (e entry) setting() setting {
	if len(e.key) > 1 {
		return e.variable()
	}
	o := byKey(e.key[0])
	if o == nil {
		return setting{err: unknownKey(e.key[0])}
	}
	if o.place == flagOnly {
		return setting{err: fmt.Errorf("%s is not for the file, only a flag: --%s", o.key(), o.name)}
	}
	texts, ok := o.kind.form.texts(e.value)
	if !ok {
		return setting{err: fmt.Errorf("%s: must be %s such as %s, not %s",
			o.key(), formNames[o.kind.form], o.inFile(), describe(e.value))}
	}
	return setting{option: o, texts: texts, where: o.key(), sep: inFile}
}

// variable makes a setting of an entry of [env].
func (e entry) variable() setting {
	name := e.key[1]
	value, ok := e.value.(string)
	switch {
	case !ok:
		return setting{err: fmt.Errorf("%s: must be a string in quotes, not %s", e.key, describe(e.value))}
	case strings.Contains(name, "="):
		return setting{err: fmt.Errorf("%s: a variable's name cannot hold =", e.key)}
	case byKey(name) != nil:
		// A key that was added at the end of the file belongs to the table
		// above it. Nobody would notice that it sets nothing.
		return setting{err: fmt.Errorf("%s stands below [env] and would be a variable: "+
			"move it above [env] (or, if you mean the variable, use --env %s=...)", name, name)}
	}
	return setting{option: byKey("env"), texts: []string{name + "=" + value}, where: "env", sep: inTable}
}

func unknownKey(key string) error {
	var keys []string
	for i := range options {
		if options[i].place != flagOnly {
			keys = append(keys, options[i].key())
		}
	}
	hint := cli.DidYouMean(key, keys, "%q")
	if hint == "" {
		hint = "; stickyd help --all shows all keys"
	}
	return errors.New("unknown key " + strconv.Quote(key) + hint)
}

// texts returns a value of the file as the words that flags would give, or
// false if it does not have this form.
func (f form) texts(value any) ([]string, bool) {
	switch v := value.(type) {
	case bool:
		return []string{strconv.FormatBool(v)}, f == formBoolean
	case int64:
		return []string{strconv.FormatInt(v, 10)}, f == formInteger || f == formMixed
	case string:
		return []string{v}, f == formString || f == formMixed || f == formList
	case []any:
		texts := make([]string, len(v))
		for i := range v {
			word, ok := v[i].(string)
			if !ok {
				return nil, false
			}
			texts[i] = word
		}
		return texts, f == formList || f == formArgv
	}
	return nil, false
}

// inFile returns the default, or else the example, as the file would hold it.
func (o *option) inFile() string {
	value := o.def
	if value == "" {
		value = o.example
	}
	switch o.kind.form {
	case formString, formMixed:
		return strconv.Quote(value)
	case formList, formArgv:
		return "[" + strconv.Quote(value) + "]"
	}
	return value
}

// describe names a value of the file, in a message about its type.
func describe(value any) string {
	switch v := value.(type) {
	case string:
		return "a string"
	case int64, float64:
		return fmt.Sprint("the number ", v)
	case bool:
		return fmt.Sprint(v)
	case time.Time:
		return "a date"
	case []any:
		for _, element := range v {
			if _, ok := element.(string); !ok {
				return "an array that holds " + describe(element)
			}
		}
		return "an array"
	case []map[string]any:
		return "an array of tables"
	}
	return "a table"
}
