package supervisor

import (
	"slices"
	"strings"
)

// withPreload returns the variables that have Node and Deno (NODE_OPTIONS) and Bun
// (BUN_OPTIONS) load a script first, beside what env says already.
func withPreload(env, argv []string, path string) []string {
	quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(path) + `"`
	options := "--require " + quoted
	if hasPermissions(argv) || hasPermissions(strings.Fields(lastOf(env, "NODE_OPTIONS"))) {
		options += " --allow-fs-read=" + quoted // else Node 20 may not read it
	}
	all := []string{"NODE_OPTIONS=" + join(lastOf(env, "NODE_OPTIONS"), options)}
	if !strings.Contains(path, `\`) { // Bun has no way to write it, and no quotes (findings/bun-options-quotes.sh)
		escaped := strings.NewReplacer(" ", `\ `, "\t", "\\\t", `"`, `\"`, "'", `\'`).Replace(path)
		all = append(all, "BUN_OPTIONS="+join(lastOf(env, "BUN_OPTIONS"), "--preload "+escaped))
	}
	return all
}

// hasPermissions reports whether Node's permission model is among options: without
// it, to allow something is an error.
func hasPermissions(options []string) bool {
	return slices.ContainsFunc(options, func(o string) bool { return o == "--permission" || o == "--experimental-permission" })
}

// lastOf returns the value of a variable, of several the one that counts.
func lastOf(env []string, name string) (value string) {
	for _, kv := range env {
		if key, v, _ := strings.Cut(kv, "="); key == name {
			value = v
		}
	}
	return value
}

func join(before, options string) string {
	if before == "" {
		return options
	}
	return before + " " + options
}
