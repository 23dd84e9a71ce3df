#!/usr/bin/env bash
# nodemon cannot run where its parent's channel has the advanced serialization
# (nodemon 3.1.14, Node 20).
#
# nodemon tells its parent, by process.send, what it does. Among it is its whole
# configuration, with a function in it. As JSON that goes, since functions are left out;
# with serialization: 'advanced', which Node's child_process and cluster offer and which
# cluster adapters ask for, a function cannot be cloned: nodemon ends with exit code 1
# before it has started anything.
#
# Seen: "json: main runs", "advanced: exit code 1, could not be cloned".
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund nodemon@3.1.14 >/dev/null
echo 'console.log("main runs"); setInterval(() => {}, 1000);' >main.js
cat >parent.js <<'JS'
const { fork } = require('node:child_process');
const serialization = process.argv[2];
const child = fork(require.resolve('nodemon/bin/nodemon.js'), ['--quiet', 'main.js'], { serialization, silent: true });
let printed = '';
const look = chunk => {
  printed += chunk;
  if (!printed.includes('main runs')) return;
  console.log(`${serialization}: main runs`);
  child.removeAllListeners('exit').kill('SIGTERM');
  child.on('exit', () => process.exit());
};
child.stdout.on('data', look);
child.stderr.on('data', look);
child.on('exit', code => setTimeout(() => {
  console.log(`${serialization}: exit code ${code}, ${/could not be cloned/.exec(printed)?.[0]}`);
}, 100));
JS
seen="$(node parent.js json)
$(node parent.js advanced)"
echo "$seen"
[ "$seen" = "json: main runs
advanced: exit code 1, could not be cloned" ]
