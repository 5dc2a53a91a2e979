// parties/guestbook.lua

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import WebSocket from "ws";

import { exampleServer } from "../lib/examples.mjs";
import { within } from "../lib/wait.mjs";

describe("guestbook", () => {
  const server = exampleServer();

  function sign(room, fields, path = `/parties/guestbook/${room}`) {
    return server.request(path, { method: "POST", headers: { "Content-Type": "application/x-www-form-urlencoded" }, body: new URLSearchParams(fields).toString() });
  }

  it("renders what it has, escaped, newest first", async (t) => {
    const room = server.room();
    const path = `/parties/guestbook/${room}`;
    const socket = new WebSocket(`ws://${server.host}${path}`);
    t.after(() => socket.terminate());
    const message = new Promise((done) => socket.once("message", (data) => done(data.toString())));
    await within(new Promise((done, failed) => socket.once("open", done).once("error", failed)), "a socket");

    const signed = await sign(room, { name: " Anna <i>", text: `It was "lovely" & 100 %1 {entries} <script>alert('x')</script>` });
    assert.deepEqual([signed.status, signed.header("location")], [303, path]);
    assert.equal((await sign(room, { name: "Ben", text: "Second" })).status, 303);
    const html = await within(message, "what was signed");
    assert.match(html, /^<li class="card"><p>It was &quot;lovely&quot; &amp; 100 %1 \{entries\} &lt;script&gt;/);

    const page = await server.request(path);
    assert.equal(page.status, 200);
    assert.match(page.header("content-type"), /^text\/html/);
    assert.ok(page.text.includes(html), "the page has what the sockets got");
    assert.ok(page.text.indexOf("Second") < page.text.indexOf("lovely"));
    assert.ok(!page.text.includes("<script>alert") && !page.text.includes("<i>"));
    const entries = await server.json(path, { headers: { Accept: "application/json" } });
    assert.deepEqual(entries.map(({ n, name }) => [n, name]), [[2, "Ben"], [1, "Anna <i>"]]);
    const head = await server.request(path, { method: "HEAD" });
    assert.equal(head.status, 200);
  });

  it("judges a form", async () => {
    const room = server.room();
    for (const fields of [{}, { name: "Anna" }, { text: "x" }, { name: " ", text: "x" }, { name: "x".repeat(41), text: "x" }, { name: "Anna", text: "x".repeat(501) }])
      assert.equal((await sign(room, fields)).status, 400, JSON.stringify(fields));
    assert.equal((await server.request(`/parties/guestbook/${room}`, { method: "PUT" })).status, 405);
    assert.deepEqual(await server.json(`/parties/guestbook/${room}`, { headers: { Accept: "application/json" } }), []);
  });
});
