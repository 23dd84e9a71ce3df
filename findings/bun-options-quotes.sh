#!/usr/bin/env bash
# Quotes in BUN_OPTIONS lose what they are around, without a word (Bun 1.4.5).
#
# NODE_OPTIONS takes quotes, as in NODE_OPTIONS='--require "./my path/a.js"'. BUN_OPTIONS,
# which is Bun's counterpart, has no quotes: --preload "./my path/a.js" runs the program
# without the preload, prints nothing about it, and the exit status is 0. A space is
# written with a backslash before it, and quotes in a path, too.
#
# Seen: loaded in NODE_OPTIONS with quotes and in BUN_OPTIONS with a backslash; in BUN_OPTIONS
# with double or single quotes only "main", exit status 0, nothing on stderr.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
case $(node -p process.arch) in arm64) arch=aarch64 ;; *) arch=x64 ;; esac
npm install --silent --no-audit --no-fund "bun@npm:@oven/bun-linux-$arch@1.4.5" >/dev/null
bun=node_modules/bun/bin/bun
mkdir "my path"
echo 'console.log("loaded");' >"my path/a.js"
echo 'console.log("main");' >main.js

check() { # check WANT RUNTIME VARIABLE VALUE
  seen=$(env "$3=$4" "$2" main.js 2>&1 | tr '\n' ' ')
  echo "$3=$4: $seen"
  [ "$seen" = "$1 " ]
}
check "loaded main" node NODE_OPTIONS '--require "./my path/a.js"'
check "loaded main" $bun BUN_OPTIONS '--preload ./my\ path/a.js'
check "main" $bun BUN_OPTIONS '--preload "./my path/a.js"'
check "main" $bun BUN_OPTIONS "--preload './my path/a.js'"
