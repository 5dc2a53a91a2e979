// parties/yjs.lua, with Yjs itself and the client of y-websocket.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import WebSocket from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";

import { exampleServer } from "../lib/examples.mjs";
import { REPOSITORY, serverFor } from "../lib/server.mjs";
import { Changes } from "../lib/wait.mjs";
import { writeProject } from "../lib/project.mjs";

// A document that syncs by a provider, and what can be waited for.
class Editor {
  changes = new Changes();
  doc = new Y.Doc();

  constructor(t, server, room, doc) {
    if (doc) this.doc = doc;
    this.provider = new WebsocketProvider(`ws://${server.host}/parties/yjs`, room, this.doc, { WebSocketPolyfill: WebSocket, disableBc: true, maxBackoffTime: 50 });
    for (const [from, event] of [[this.doc, "update"], [this.provider, "sync"], [this.provider, "status"], [this.provider.awareness, "change"]])
      from.on(event, () => this.changes.changed());
    this.stop = () => {
      this.provider.destroy();
      this.provider.awareness.destroy(); // it has a timer
    };
    t.after(this.stop);
  }

  get text() {
    return this.doc.getText("body").toString();
  }

  get states() {
    return [...this.provider.awareness.getStates().values()].map(({ name }) => name).filter(Boolean).sort();
  }

  write(at, text) {
    this.doc.getText("body").insert(at, text);
  }

  synced() {
    return this.changes.until(() => this.provider.synced || undefined, "to be synced");
  }

  has(text) {
    return this.changes.until(() => this.text === text || undefined, `the text "${text}"`, { describe: () => `but "${this.text}"` });
  }

  sees(names) {
    return this.changes.until(() => this.states.join() === names.join() || undefined, `the people ${names}`, { describe: () => `but ${this.states}` });
  }
}

describe("yjs", () => {
  const server = exampleServer();
  const numbers = (room) => server.json(`/parties/yjs/${room}`);

  it("two documents become the same, and a late one gets it all", async (t) => {
    const room = server.room();
    const a = new Editor(t, server, room);
    const b = new Editor(t, server, room);
    await Promise.all([a.synced(), b.synced()]);
    a.write(0, "Good evening");
    await b.has("Good evening");
    b.write(12, ", Anna!");
    await a.has("Good evening, Anna!");
    a.doc.getText("body").delete(0, 5);
    await b.has("evening, Anna!");
    const late = new Editor(t, server, room);
    await late.synced();
    assert.equal(late.text, "evening, Anna!", "once it is synced it has everything");
  });

  it("what two have written without each other is merged", async (t) => {
    const room = server.room();
    const a = new Editor(t, server, room);
    await a.synced();
    a.write(0, "middle");
    const b = new Editor(t, server, room);
    await b.has("middle");
    a.provider.disconnect();
    b.provider.disconnect();
    a.write(0, "left ");
    b.write(6, " right");
    a.provider.connect();
    b.provider.connect();
    await Promise.all([a.has("left middle right"), b.has("left middle right")]);
    const late = new Editor(t, server, room);
    await late.synced();
    assert.equal(late.text, "left middle right");
  });

  it("ten that edit and reconnect at the same time lose nothing", async (t) => {
    const room = server.room();
    const editors = Array.from({ length: 10 }, () => new Editor(t, server, room));
    await Promise.all(editors.map((editor) => editor.synced()));
    editors.forEach((editor, n) => {
      editor.provider.disconnect();
      editor.write(0, `<${n}>`);
    });
    editors.forEach((editor) => editor.provider.connect());
    const all = (editor) => editor.changes.until(() => (editor.text.length === 30 ? editor.text : undefined), "all ten", { describe: () => editor.text });
    const texts = await Promise.all(editors.map(all));
    assert.equal(new Set(texts).size, 1);
    for (let n = 0; n < 10; n++) assert.ok(texts[0].includes(`<${n}>`));
    const late = new Editor(t, server, room);
    await late.synced();
    assert.equal(late.text, texts[0]);
  });

  it("the log is kept short by those who come", async (t) => {
    const room = server.room();
    const a = new Editor(t, server, room);
    await a.synced();
    for (let n = 0; n < 100; n++) a.write(n, "x");
    const b = new Editor(t, server, room);
    await b.has("x".repeat(100));
    let log;
    do {
      const c = new Editor(t, server, room);
      await c.has("x".repeat(100));
      c.stop();
      log = await numbers(room);
    } while (log.updates > 3);
    assert.ok(log.bytes < 1500, JSON.stringify(log));
  });

  it("shows who is there, and no longer who has gone", async (t) => {
    const room = server.room();
    const a = new Editor(t, server, room);
    a.provider.awareness.setLocalStateField("name", "Anna");
    await a.synced();
    const b = new Editor(t, server, room);
    b.provider.awareness.setLocalStateField("name", "Ben");
    await Promise.all([a.sees(["Anna", "Ben"]), b.sees(["Anna", "Ben"])]);
    b.provider.ws.terminate(); // no word of goodbye
    b.provider.shouldConnect = false;
    await a.sees(["Anna"]);
  });

  it("the document is there after kill -9", async (t) => {
    const project = await writeProject({});
    t.after(project.remove);
    const first = await serverFor(t, undefined, { project, directory: REPOSITORY });
    const a = new Editor(t, first, "doc");
    const b = new Editor(t, first, "doc");
    await Promise.all([a.synced(), b.synced()]);
    a.write(0, "kept");
    await b.has("kept"); // so it is on the disk
    a.stop();
    b.stop();
    await first.stop({ signal: "SIGKILL", code: null }).catch(() => {});
    const second = await serverFor(t, undefined, { project, directory: REPOSITORY });
    const late = new Editor(t, second, "doc");
    await late.synced();
    assert.equal(late.text, "kept");
  });

  it("closes on frames that are none", async (t) => {
    const room = server.room();
    for (const frame of [[], [0], [0, 2], [0, 2, 5, 1], [1], [1, 3, 2, 200, 200], [255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1], "text"]) {
      const socket = await server.socket(`/parties/yjs/${room}`);
      if (typeof frame === "string") socket.text(frame);
      else socket.binary(Buffer.from(frame));
      const { code, reason } = await socket.closing();
      assert.equal(code, 1003, JSON.stringify(frame));
      assert.match(String(reason), /^(the frame |a number is |text is )/, "and no word of the script's file");
    }
    assert.deepEqual(await numbers(room), { updates: 0, bytes: 0, clients: 0 });
  });
});
