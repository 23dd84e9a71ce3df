/// <reference types="node" />

import type { EventEmitter } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';

declare namespace stickyd {
  /** A Socket.IO server that has its HTTP server. */
  interface SocketIOServer {
    readonly httpServer: object;
    readonly engine: object;
  }

  interface AttachOptions {
    /**
     * Where session ids stand in requests, in the words of stickyd's
     * `--session`, which must say the same: `query:NAME`, `header:NAME`,
     * `cookie:NAME`, `path:/PATTERN`, or `none` alone. The first that has one
     * counts.
     *
     * @default what stickyd says
     */
    session?: string[];

    /**
     * Whether no connection is to come before `worker.ready()` is called.
     *
     * @default false
     */
    holdReady?: boolean;
  }

  interface DrainNotice {
    /** Milliseconds until the worker is ended. */
    limit: number;
    /** When that is. */
    deadline: Date;
  }

  interface Worker extends EventEmitter {
    /** Whether the process runs under stickyd. */
    readonly supervised: boolean;
    /** The worker's place, 1 to `slots`; its successors have the same. 0 without stickyd. */
    readonly slot: number;
    /** How many workers there are. 0 without stickyd. */
    readonly slots: number;
    /** The last notice that no new sessions come, if there was one. Sessions go on. */
    readonly drain: DrainNotice | undefined;
    /** The notice that no connection comes any more, if it was given. */
    readonly finish: DrainNotice | undefined;
    /** Resolves when no new sessions come any more. */
    readonly draining: Promise<DrainNotice>;
    /** Resolves when no connection comes any more. */
    readonly finishing: Promise<DrainNotice>;

    /** Says that connections may come, where `attach` was told to hold them, or stickyd was (`--wait-ready`). */
    ready(): void;

    /** `drain` may come several times, each time with another deadline; `finish` comes once. */
    on(event: 'drain' | 'finish', listener: (notice: DrainNotice) => void): this;
    once(event: 'drain' | 'finish', listener: (notice: DrainNotice) => void): this;
  }

  /**
   * Makes a server the one that gets this worker's connections, in the place of
   * `setupWorker(io)` of @socket.io/sticky.
   *
   * @param target a Socket.IO server that has its HTTP server, or an HTTP server
   * @returns whether the process runs under stickyd; if not, nothing was done
   */
  function attach(target: SocketIOServer | HttpServer, options?: AttachOptions): boolean;

  /**
   * Registers a session of your own. Tell nobody its id before the promise has
   * resolved. The sessions of Socket.IO are registered by themselves.
   *
   * @param socket the connection that it began on: `request.socket`
   */
  function bind(id: string, socket?: Socket): Promise<void>;

  /** Says that such a session has ended. */
  function unbind(id: string): void;

  /** This process as a worker. */
  const worker: Worker;
}

export = stickyd;
