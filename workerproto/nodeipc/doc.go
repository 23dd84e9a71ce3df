// Package nodeipc is stickyd's side of the conversation with a worker that is
// a Node program: the [Link] of package workerproto, spoken in the dialect that
// Node's own child_process and cluster modules speak. To the worker stickyd is
// the cluster's primary, so that cluster.isWorker is true, and setupWorker of
// @socket.io/sticky and createAdapter of @socket.io/cluster-adapter work as
// published.
//
// The dialect in short; the code names its sources in Node's tree (v20.x):
//
//   - messages are JSON lines or length-prefixed V8 values (codec_json.go,
//     codec_v8.go; lib/internal/child_process/serialization.js);
//   - a descriptor travels in a NODE_HANDLE message, which the worker
//     acknowledges (parcels.go; lib/internal/child_process.js);
//   - a worker is ready when a probe is answered or it listens (probe.go,
//     cluster.go; lib/internal/cluster/child.js);
//   - a server that listens gets the clients' connections, or a socket that all
//     workers share (listen.go, sockets.go);
//   - sessions come and go with sticky:connection and sticky:disconnection
//     (sticky.go; index.js of @socket.io/sticky);
//   - what a cluster adapter or engine says goes to the other workers (hub.go);
//   - the package for Node workers, which is in stickyd (preload), says and hears
//     more, in messages of its own (helper.go): each session before its client
//     knows it, and which requests were for others; that there are sessions at all
//     (news.go); and what is served past stickyd, or passed on by a launcher.
//
// Where a server in a worker is to serve by itself, its socket is opened here, once for
// all workers ([Sockets]); nobody here accepts on it.
//
// Nothing of the dialect leaves the package: the Link tells a workerproto.Handler.
package nodeipc
