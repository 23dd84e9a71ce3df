// Package config turns flags and a TOML file into plain, checked values.
//
// Load is given what follows the program's name and returns a Config in which
// every value is within its range, or an *Error that names each value that is
// not: where it stands (the flag, or file, line and key), what is allowed, and
// the name that was probably meant. Flags win over the file, and the file wins
// over the defaults; a list given by a flag replaces the file's list, while
// environment variables are merged by name.
//
// There is one table of options, in options.go. Flags, keys of the file, help
// and checks all come from it, and a test holds reference.toml to it.
//
// Load reads the one file that it is told to read and nothing else: it opens no
// socket, resolves no name and looks for no command. Package config knows
// nothing of what the values do; the syntax inside a session's source, for one,
// belongs to the package that finds sessions.
package config
