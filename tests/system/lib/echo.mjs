// How long a room's answers take while something else goes on: a thread of its own sends a message
// to an echo room every 5 ms, whether the ones before were answered or not, so that a server that
// stands still is seen for as long as it stands.

import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

import WebSocket from "ws";

const EVERY = 5;

// What it asks for.
export const ECHO_PARTY = `
local Echo = {}

function Echo:onMessage(message, connection)
  connection:send(message)
end

return Echo
`;

// The smallest of the sorted values that a share of them does not exceed.
export function percentile(sorted, share) {
  return sorted.length ? sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] : 0;
}

export class EchoProbe {
  over; // why it has given up: an answer took longer than patience, or the socket closed
  ended; // resolves then

  #worker;
  #waiting;
  #opened;

  // patience: ms without an answer after which the server counts as hanging.
  static async open(server, path, patience) {
    const probe = new EchoProbe(`ws://${server.host}${path}`, patience);
    await probe.#opened;
    return probe;
  }

  constructor(url, patience) {
    this.#worker = new Worker(fileURLToPath(import.meta.url), { workerData: { url, patience } });
    this.#opened = new Promise((opened, failed) => {
      this.ended = new Promise((ended) => {
        this.#worker.on("message", (message) => {
          if (message.opened) opened();
          if (message.latencies) this.#waiting?.(message.latencies);
          if (message.ended) {
            this.over = message.ended;
            failed(new Error(message.ended));
            this.#waiting?.(message.all);
            ended(message.ended);
          }
        });
        this.#worker.on("error", failed);
      });
    });
    this.#opened.catch(() => {});
  }

  // Forgets what was measured so far.
  begin() {
    this.#worker.postMessage("begin");
  }

  // When all that was sent until now is answered: { n, p50, p99, max } in ms since begin(). Of a probe
  // that has ended, what is unanswered counts with its age.
  async end() {
    const latencies = await new Promise((done) => {
      this.#waiting = done;
      this.#worker.postMessage("end");
    });
    latencies.sort((a, b) => a - b);
    return {
      n: latencies.length,
      p50: percentile(latencies, 0.5),
      p99: percentile(latencies, 0.99),
      max: latencies.at(-1) ?? 0,
    };
  }

  close() {
    return this.#worker.terminate();
  }
}

function work({ url, patience }) {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  const sent = new Map(); // number: time
  let latencies = [];
  let number = 0;
  let asked; // the number whose answer completes what was asked for
  let over;

  const all = () => [...latencies, ...[...sent.values()].map((at) => performance.now() - at)];
  const give = (reason) => {
    over ??= reason;
    clearInterval(timer);
    parentPort.postMessage({ ended: over, all: all() });
    socket.terminate();
  };
  const report = () => {
    if (over || (asked !== undefined && !sent.has(asked))) {
      asked = undefined;
      parentPort.postMessage({ latencies: over ? all() : latencies });
    }
  };
  const send = () => {
    const [oldest] = sent.values();
    if (performance.now() - oldest > patience) return give(`no echo for ${patience} ms`);
    sent.set(++number, performance.now());
    socket.send(String(number));
  };
  let timer;

  socket.on("open", () => {
    socket._socket.setNoDelay(true);
    parentPort.postMessage({ opened: true });
    timer = setInterval(send, EVERY);
  });
  socket.on("message", (data) => {
    const answered = Number(data.toString());
    latencies.push(performance.now() - sent.get(answered));
    sent.delete(answered);
    report();
  });
  socket.on("error", (error) => give(`the echo's socket: ${error.message}`));
  socket.on("close", (code) => over ?? give(`the echo's socket closed with ${code}`));
  parentPort.on("message", (message) => {
    if (message === "begin") {
      latencies = [];
    } else {
      if (!over) send();
      asked = number;
      report();
    }
  });
}

if (!isMainThread && workerData?.patience) work(workerData);
