// A program that the application 'children' of apps.cjs starts.

const cluster = require('node:cluster');

process.send?.({ cmd: 'NODE_STICKYD', act: 'bind', ids: ['stolen'] });
const names = Object.keys(process.env).filter(name => /^(STICKYD_(?!BIN)|NODE_CHANNEL|NODE_UNIQUE|NODE_OPTIONS$|BUN_OPTIONS$)/.test(name)).sort();
console.log(`child ${JSON.stringify({ names, isWorker: cluster.isWorker })}`);
process.disconnect?.();
