// Requests to the workers, and what can be seen of the connections they take.

// Longer than stickyd lets a request wait for a worker (then it answers 503).
const patience = 15000;

// traffic counts the requests that had a session. The browser does not tell a
// page which connection it picked, but the worker does: the client's port.
export const traffic = { requests: 0, connections: 0, moves: 0 };
const lastWorker = new Map(); // port → slot of who answered on it last

const listeners = [];

// listen calls f with every answer, and with null for each request that got
// none.
export function listen(f) { listeners.push(f); }

// ask sends a request and returns the worker's answer. It throws if no worker
// answered.
export async function ask(method, path, sid = '') {
  const options = { method, cache: 'no-store', signal: AbortSignal.timeout(patience) };
  if (!sid) {
    // A request without a session is answered by whoever has the connection
    // that it comes on. For such a request to be balanced it must not come on
    // one that sessions use: browsers keep those without credentials apart,
    // and the workers close them after each answer.
    options.credentials = 'omit';
  }
  const asked = performance.now();
  let answer;
  try {
    const response = await fetch(path + (sid && '?sid=' + encodeURIComponent(sid)), options);
    answer = await response.json(); // what stickyd itself says is no JSON
    Object.assign(answer, { status: response.status, asked });
  } catch (cause) {
    for (const f of listeners) f(null);
    throw new Error('no worker answered', { cause });
  }
  if (sid && answer.port) count(answer);
  for (const f of listeners) f(answer);
  return answer;
}

function count({ port, worker }) {
  traffic.requests++;
  const before = lastWorker.get(port);
  if (before === undefined) traffic.connections++;
  else if (before !== worker) traffic.moves++;
  lastWorker.delete(port); // to the end: the map is in order of use
  lastWorker.set(port, worker);
  if (lastWorker.size > 100) lastWorker.delete(lastWorker.keys().next().value);
}
