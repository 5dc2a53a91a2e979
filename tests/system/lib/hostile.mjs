// The scripts of tests/hostile: reading what their heads say, and doing to a server what they ask for.

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import { openCrowd, closeCrowd } from "./crowd.mjs";
import { REPOSITORY } from "./server.mjs";
import { poll } from "./wait.mjs";

export const FOLDER = join(REPOSITORY, "tests/hostile");

const TEXTS = ["tries", "must", "trigger", "expect", "says", "limits", "room", "text", "type", "todo"];
const NUMBERS = ["rooms", "clients", "deaf", "streams", "events", "parallel", "body", "watch"];

// The head of a script: "-- key: value", continued by lines that are indented. See README.md there.
export function readHead(name, source) {
  const head = { name, rooms: 1, clients: 0, deaf: 0, streams: 0, events: 1, parallel: 1, watch: 0 };
  let key;
  for (const line of source.split("\n")) {
    const item = /^-- ([a-z]+): *(.*)$/.exec(line);
    const more = /^-- {2,}(.*)$/.exec(line);
    if (item) [, key] = item;
    else if (!more) break;
    assert.ok([...TEXTS, ...NUMBERS].includes(key), `${name}: the head has an unknown key "${key}"`);
    const text = item ? item[2] : `${head[key]} ${more[1]}`;
    head[key] = NUMBERS.includes(key) ? Number(text) : text;
    assert.ok(!Number.isNaN(head[key]), `${name}: ${key} is a number`);
  }
  for (const needed of ["tries", "must", "trigger", "expect"]) assert.ok(head[needed], `${name}: the head has no "${needed}"`);
  assert.ok(TRIGGERS[head.trigger], `${name}: there is no trigger "${head.trigger}"`);
  return head;
}

export async function readScripts() {
  const scripts = [];
  for (const file of (await readdir(FOLDER)).filter((entry) => entry.endsWith(".lua")).sort()) {
    const source = await readFile(join(FOLDER, file), "utf8");
    scripts.push({ ...readHead(file.slice(0, -4), source), source });
  }
  return scripts;
}

// Modules that are heavy to compile: "heavy.ors" takes long, "heavy.fields" and "heavy.tables" take memory, "heavy.large"
// is larger than a source file may be, "heavy.text1" to "heavy.text30" are as large compiled.
export function heavyModules() {
  const SIZE = 1_000_000;
  const lines = (make) => {
    const all = [];
    for (let n = 0, size = 0; size < SIZE; n++) size += all[all.push(make(n)) - 1].length + 1;
    return all.join("\n");
  };
  const modules = {
    ors: `return ${"a or ".repeat(SIZE / 5 - 10)}a`,
    fields: `t = {}\n${lines((n) => `t.x${n}=1`)}`.slice(0, SIZE).replace(/\n.*$/, ""),
    tables: `return {${"{},".repeat(SIZE / 3 - 10)}}`,
    large: `--${"-".repeat(1024 * 1024)}`,
  };
  for (let n = 1; n <= 30; n++) modules[`text${n}`] = `local text = "${"x".repeat(SIZE)}"`;
  return Object.fromEntries(Object.entries(modules).map(([name, source]) => [`lib/heavy/${name}.lua`, source]));
}

// Does an outcome ("500 Internal error", "open", "closed 1011") fit "500 or 200 safe"? Each of the
// alternatives is a beginning of the outcome.
export function fits(expect, outcome) {
  return expect === "any" || expect.split(" or ").some((start) => outcome.startsWith(start));
}

const PATH = "/parties/hostile";
const LONG = 600_000; // whether it hangs is seen by the echo
const count = (n, make) => Array.from({ length: n }, (_, i) => make(i));

// What a socket hears until the answer to "good", or its end.
async function listen(socket, heard) {
  socket.text("good");
  for (;;) {
    const next = await socket.frameOrEnd("what follows a message", LONG);
    if (!next) return "ended";
    if (next.opcode === 8) return `closed ${next.payload.length ? next.payload.readUInt16BE(0) : 1005}`;
    const text = next.payload.toString("latin1");
    if (text === "good") return "open";
    heard.push(text);
  }
}

// As many bytes as the head says of its text, again and again.
const bodyOf = (head) => (head.body ? Buffer.alloc(head.body, head.text ?? "x") : undefined);

// Each does what the head asks for in one room, and returns the outcomes; heard takes what else came.
const TRIGGERS = {
  // A request to /attack?n=1, then the next; parallel of them at once.
  async request(server, room, head, heard) {
    const outcomes = [];
    for (let n = 1; n <= head.events; n++) {
      const some = count(head.parallel, async () => {
        const method = head.body ? "POST" : "GET";
        const headers = head.type ? { "Content-Type": head.type } : {};
        const response = await server.request(`${PATH}/${room}/attack?n=${n}`, { method, headers, body: bodyOf(head), ms: LONG });
        outcomes.push(`${response.status} ${response.text.slice(0, 2000)}`);
        heard.push(response.text, JSON.stringify(response.lines));
      });
      await Promise.all(some);
    }
    return outcomes;
  },

  // Messages of one socket, "attack 1", then the next.
  async message(server, room, head, heard) {
    const outcomes = [];
    const socket = await server.socket(`${PATH}/${room}?_pk=attacker`);
    for (let n = 1; n <= head.events && (outcomes.at(-1) ?? "open") === "open"; n++) {
      socket.text(`attack ${n}`);
      outcomes.push(await listen(socket, heard));
    }
    socket.destroy();
    return outcomes;
  },

  // Sockets that want in, parallel of them at once: "101 open", "500 …", "101 closed 1011".
  async connect(server, room, head, heard) {
    const some = count(head.parallel, async () => {
      const { response, socket } = await server.upgrade(`${PATH}/${room}?n=1`);
      const outcome = socket ? await listen(socket, heard) : response.text;
      socket?.destroy();
      return `${response.status} ${outcome}`;
    });
    return Promise.all(some);
  },

  // Sockets that were let in go away.
  async close(server, room, head) {
    const members = await openCrowd(server, head.parallel, () => `${PATH}/${room}`);
    closeCrowd(members);
    return ["closed"];
  },

  // Requests with a body that nobody waits for.
  async unanswered(server, room, head) {
    const clients = await Promise.all(count(head.parallel, () => server.connect()));
    for (const client of clients) {
      client.pause();
      client.send({ method: "POST", path: `${PATH}/${room}/attack?n=1`, body: bodyOf(head) });
    }
    return ["sent"];
  },

  // The script loads when the server starts; from the time in party.env.ARMED on it is hostile.
  async late(server, room, head, heard, { armed }) {
    await poll(() => (Date.now() > armed ? true : undefined), "the time at which the script turns");
    return TRIGGERS.request(server, room, head, heard);
  },

  // Nothing is served: see the test.
  load: () => assert.fail("load-time scripts have no room"),
};

// Opens the head's clients, returns what triggers it all. Outcomes are those of all rooms.
export async function prepare(server, head) {
  const rooms = count(head.rooms, (i) => `attack-${i + 1}`);
  const crowd = [];
  for (const room of rooms) {
    crowd.push(...(await openCrowd(server, head.clients, (i) => `${PATH}/${room}?_pk=client-${i + 1}`)));
    crowd.push(...(await openCrowd(server, head.deaf, (i) => `${PATH}/${room}?_pk=deaf-${i + 1}`, { deaf: true })));
    crowd.push(...(await openCrowd(server, head.streams, () => `${PATH}/${room}/events`, { streams: true })));
  }
  return {
    rooms,
    trigger: async (heard, context) =>
      (await Promise.all(rooms.map((room) => TRIGGERS[head.trigger](server, room, head, heard, context)))).flat(),
    close: () => closeCrowd(crowd),
  };
}
