// A hundred reloads, ten of them broken, under 500 sockets that each send ten messages a second: nobody is
// closed, nothing is lost or out of order. How long messages took is printed; it says something on a
// machine that has nothing else to do.

import assert from "node:assert/strict";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { it } from "node:test";

import WebSocket from "ws";

import { lua, saveFile } from "../lib/project.mjs";
import { serverFor } from "../lib/server.mjs";
import { poll, within } from "../lib/wait.mjs";

const SOCKETS = 500;
const ROOMS = 50;
const RELOADS = 100;
const INTERVAL = 100; // ms between two messages of a socket

const party = (version) => lua`
local words = require "words"
local P = {}
function P:onStart() self.count, self.reloads = 0, 0 end
function P:onReload() self.reloads = self.reloads + 1 end
function P:onMessage(message, connection)
  self.count = self.count + 1
  connection:send(message .. ":${version}")
end
function P:onRequest() return { count = self.count, reloads = self.reloads } end
return P
`;

class Client {
  sent = 0;
  received = 0;
  versions = new Set();
  wrong = undefined; // what was

  constructor(url, times) {
    this.times = times;
    this.started = [];
    this.socket = new WebSocket(url);
    this.open = new Promise((done, failed) => this.socket.on("open", done).on("error", failed));
    this.socket.on("close", (code) => (this.wrong ??= `closed with ${code}`));
    this.socket.on("message", (data) => {
      const [number, version] = String(data).split(":");
      if (Number(number) !== this.received) this.wrong ??= `${number} came instead of ${this.received}`;
      times.push(performance.now() - this.started[this.received++]);
      this.versions.add(version);
    });
  }

  send() {
    this.started.push(performance.now());
    this.socket.send(String(this.sent++));
  }
}

function quantiles(times) {
  times.sort((a, b) => a - b);
  const at = (q) => times[Math.min(times.length - 1, Math.floor(q * times.length))].toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms`;
}

it("a hundred reloads under load lose nothing", async (t) => {
  const server = await serverFor(
    t,
    { "parties/main.lua": party(0), "lib/words.lua": "return {}" },
    { mode: "dev", args: ["--log-level", "info"] },
  );
  const path = join(server.project.directory, "parties/main.lua");
  const times = [];
  const clients = Array.from(
    { length: SOCKETS },
    (_, i) => new Client(`ws://${server.host}/party/room-${i % ROOMS}`, times),
  );
  t.after(() => clients.forEach((client) => client.socket.terminate()));
  await within(Promise.all(clients.map((client) => client.open)), "all sockets");

  // each at its own moment, spread over the interval
  let turn = 0;
  const clock = setInterval(() => {
    const until = Math.min(SOCKETS, Math.ceil((((performance.now() - begun) % INTERVAL) / INTERVAL) * SOCKETS));
    if (until < turn) {
      for (; turn < SOCKETS; turn++) clients[turn].send();
      turn = 0;
    }
    for (; turn < until; turn++) clients[turn].send();
  }, 2);
  const begun = performance.now();
  t.after(() => clearInterval(clock));

  const calm = async (what) => {
    const from = times.length;
    await poll(() => times.length > from + SOCKETS * 20 || undefined, what);
    return times.splice(0);
  };
  await calm("messages");
  const before = quantiles(await calm("messages before"));

  const lag = monitorEventLoopDelay({ resolution: 1 });
  lag.enable();
  let version = 0;
  for (let i = 1; i <= RELOADS; i++) {
    const from = server.lines.length;
    const broken = i % 10 === 5;
    const text = broken ? `${party(i)}\noops` : party((version = i));
    await saveFile(path, text);
    const line = await server.waitForLog((l) => /reloaded|could not be loaded/.test(l.msg), `reload ${i}`, { from });
    assert.equal(line.msg.includes("could not be loaded"), broken);
  }
  lag.disable();
  const during = quantiles(times.splice(0));
  await poll(() => clients.every((c) => c.versions.has(String(version))) || undefined, "the last version everywhere");
  clearInterval(clock);
  await poll(() => clients.every((c) => c.received === c.sent || c.wrong) || undefined, "the last answers");

  const total = clients.reduce((sum, client) => sum + client.received, 0);
  t.diagnostic(`${total} messages, ${RELOADS} reloads; client's own lag: max ${(lag.max / 1e6).toFixed(1)} ms`);
  const loads = server.lines.filter((line) => /reloaded$/.test(line.msg)).map((line) => line.ms);
  t.diagnostic(`reading, compiling and checking a version: ${quantiles(loads)}`);
  t.diagnostic(`from message to answer, without reloads: ${before}`);
  t.diagnostic(`from message to answer, with reloads: ${during}`);
  for (const client of clients) {
    assert.equal(client.wrong, undefined);
    assert.equal(client.received, client.sent);
  }
  // the rooms themselves are the ones from the beginning, and have seen every message
  let counted = 0;
  for (let i = 0; i < ROOMS; i++) {
    const { count, reloads } = await server.json(`/party/room-${i}`);
    counted += count;
    assert.ok(reloads > 0 && reloads <= RELOADS * 0.9, `${reloads} reloads`);
  }
  assert.equal(counted, total);
  assert.ok(!server.lines.some((line) => line.msg === "handler failed"));
});
