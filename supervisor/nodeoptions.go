package supervisor

import (
	"iter"
	"slices"
	"strings"
)

// nodeOptions yields the options of a command that is Node, each with its place: the
// words before the script, without those that are an option's value.
func nodeOptions(argv []string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		for i := 1; i < len(argv); i++ {
			option := argv[i]
			if len(option) < 2 || option[0] != '-' || option == "--" || !yield(i, option) {
				return
			}
			if takesValue(option) && i+1 < len(argv) && !strings.HasPrefix(argv[i+1], "-") {
				i++
			}
		}
	}
}

// takesValue reports whether Node takes the next word for the option's value. Node
// has - and _ mean the same in options.
func takesValue(option string) bool {
	return slices.Contains(valued, strings.ReplaceAll(option, "_", "-"))
}

// valued are the options of Node 20 to 26 that say they require an argument, where
// they stand alone.
var valued = strings.Fields(`
	-C -e -p -pe -r
	--allow-fs-read --allow-fs-write
	--bench-isolation --bench-name-pattern --bench-reporter --bench-reporter-destination --bench-samples --bench-warmup
	--build-sea --build-snapshot-config --conditions --cpu-prof-dir --cpu-prof-interval --cpu-prof-name
	--debug-port --diagnostic-dir --disable-proto --disable-warning --dns-result-order
	--env-file --env-file-if-exists --es-module-specifier-resolution --eval
	--experimental-config-file --experimental-default-type --experimental-loader --experimental-package-map --experimental-policy
	--experimental-sea-config --experimental-test-isolation --experimental-test-tag-filter
	--heap-prof-dir --heap-prof-interval --heap-prof-name --heapsnapshot-near-heap-limit --heapsnapshot-signal
	--icu-data-dir --import --input-type --inspect-port --inspect-publish-uid --loader --localstorage-file
	--max-http-header-size --max-old-space-size-percentage --network-family-autoselection-attempt-timeout --openssl-config
	--policy-integrity --print --redirect-warnings --report-dir --report-directory --report-filename --report-signal --require --run
	--secure-heap --secure-heap-min --security-revert --snapshot-blob
	--test-concurrency --test-coverage-branches --test-coverage-exclude --test-coverage-functions --test-coverage-include
	--test-coverage-lines --test-global-setup --test-isolation --test-name-pattern --test-random-seed --test-reporter
	--test-reporter-destination --test-rerun-failures --test-shard --test-skip-pattern --test-timeout
	--title --tls-cipher-list --tls-keylog --trace-event-categories --trace-event-file-pattern --trace-require-module
	--unhandled-rejections --use-largepages --v8-pool-size --vfs-load --vfs-mount --watch-kill-signal --watch-path`)

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
