// How long a room's answers take while something else goes on: a thread of its own sends a message
// to an echo room every 5 ms, whether the ones before were answered or not, so that a server that
// stands still is seen for as long as it stands.
//
// Time is taken twice: by the clock, and as what the server's first thread had of the CPU between a message
// and its answer. On a machine that does nothing else they are the same; on a busy one the second tells what
// the server is to blame for.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

import WebSocket from "ws";

const EVERY = 5;
const FOREVER = 60_000; // ms of the clock

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

  // patience: ms of work without an answer after which the server counts as hanging.
  static async open(server, path, patience) {
    const probe = new EchoProbe(`ws://${server.host}${path}`, server.pid, patience);
    await probe.#opened;
    return probe;
  }

  constructor(url, pid, patience) {
    this.#worker = new Worker(fileURLToPath(import.meta.url), { workerData: { url, pid, patience } });
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

  // When all that was sent until now is answered: { n, p50, p99, max } in ms since begin(), and work, the
  // 99th percentile of the server's own time. Of a probe that has ended, what is unanswered counts with its
  // age.
  async end() {
    const latencies = await new Promise((done) => {
      this.#waiting = done;
      this.#worker.postMessage("end");
    });
    const [clock, work] = [0, 1].map((i) => latencies.map((one) => one[i]).sort((a, b) => a - b));
    return {
      n: clock.length,
      p50: percentile(clock, 0.5),
      p99: percentile(clock, 0.99),
      max: clock.at(-1) ?? 0,
      work: percentile(work, 0.99),
    };
  }

  close() {
    return this.#worker.terminate();
  }
}

// ms that the first thread of the process had of the CPU (clock ticks are 10 ms everywhere we run).
function cpu(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/task/${pid}/stat`, "latin1").replace(/^.*\) /s, "").split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return 0; // it has ended
  }
}

function work({ url, pid, patience }) {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  const sent = new Map(); // number: [time, CPU time]
  let latencies = [];
  let number = 0;
  let asked; // the number whose answer completes what was asked for
  let over;

  const since = ([time, work]) => [performance.now() - time, Math.max(0, cpu(pid) - work)];
  const all = () => [...latencies, ...[...sent.values()].map(since)];
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
    const [clock, worked] = oldest ? since(oldest) : [0, 0];
    if (worked > patience || clock > FOREVER) return give(`no echo for ${clock.toFixed(0)} ms`);
    sent.set(++number, [performance.now(), cpu(pid)]);
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
    latencies.push(since(sent.get(answered)));
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
