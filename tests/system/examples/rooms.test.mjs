// What needs other rooms: parties/directory.lua (with chat.lua), admin.lua, crowd.lua.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

import { fetch } from "undici";

import { Client, exampleServer } from "../lib/examples.mjs";
import { lua } from "../lib/project.mjs";
import { REPOSITORY, serverForSuite } from "../lib/server.mjs";

describe("directory", () => {
  const server = exampleServer();

  it("knows which rooms of the chat are in use", async (t) => {
    const room = server.room();
    const directory = await Client.join(t, server, "directory/chat");
    await directory.next();
    const anna = await Client.join(t, server, `chat/${room}`, { name: "Anna" });
    const people = ({ rooms }) => rooms.find(({ id }) => id === room)?.people;
    await directory.find((message) => people(message) === 1);
    const ben = await Client.join(t, server, `chat/${room}`, { name: "Ben" });
    await directory.find((message) => people(message) === 2);
    assert.equal(people(await server.json("/parties/directory/chat")), 2);
    await Promise.all([anna.leave(), ben.leave()]);
    await directory.find((message) => people(message) === undefined);
    assert.equal((await server.request("/parties/directory/chat", { method: "POST", body: "{}" })).status, 405);
  });
});

describe("admin", () => {
  const server = exampleServer({ args: ["--var", "ADMIN_TOKEN=s3cret"] });
  const bare = exampleServer();

  async function ask(path, { method = "GET", token = "s3cret", body } = {}) {
    const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
    const response = await fetch(`${server.url}/parties/admin/${path}`, { method, headers, body: body && JSON.stringify(body) });
    const text = await response.text();
    return { status: response.status, text, json: text.startsWith("{") ? JSON.parse(text) : undefined };
  }

  it("is for who has the token", async () => {
    for (const token of [null, "", "other", "s3cre", "s3cret2"]) assert.equal((await ask("chat", { token })).status, 401, String(token));
    assert.equal((await bare.request("/parties/admin/chat", { headers: { Authorization: "Bearer " } })).status, 503);
    const { response } = await server.upgrade("/parties/admin/chat");
    assert.equal(response.status, 404);
  });

  it("lists rooms in pieces", async (t) => {
    const prefix = server.room("list");
    for (const n of [1, 2, 3, 4, 5]) await Client.join(t, server, `chat/${prefix}-${n}`, { name: "Anna" });
    const seen = [];
    let after;
    do {
      const { json } = await ask(`chat?prefix=${prefix}&limit=2${after ? `&after=${after}` : ""}`);
      seen.push(json.rooms.map(({ id, connections }) => [id, connections]));
      after = json.next;
    } while (after);
    assert.deepEqual(seen.flat(), [1, 2, 3, 4, 5].map((n) => [`${prefix}-${n}`, 1]));
    assert.ok(seen.every((page) => page.length <= 2));
    for (const limit of ["0", "1001", "x", "1.5"]) assert.equal((await ask(`chat?limit=${limit}`)).status, 400, limit);
    assert.equal((await ask("nothing")).status, 404);
  });

  it("speaks in a room, and closes it for good", async (t) => {
    const room = server.room();
    const directory = await Client.join(t, server, "directory/chat");
    const client = await Client.join(t, server, `chat/${room}`, { name: "Anna" });
    client.send({ type: "say", text: "to be forgotten" });
    await client.find(({ type }) => type === "message");
    await directory.find(({ rooms }) => rooms.some(({ id }) => id === room));
    assert.deepEqual((await ask(`chat?room=${room}`, { method: "POST", body: { announce: "Closing at ten" } })).json, { room, done: "announce" });
    assert.equal((await client.find(({ type }) => type === "announcement")).text, "Closing at ten");
    assert.deepEqual((await ask(`chat?room=${room}`, { method: "DELETE" })).json, { room, done: "wipe" });
    assert.equal((await client.end()).code, 1000);
    await directory.find(({ rooms }) => !rooms.some(({ id }) => id === room));
    const again = await Client.join(t, server, `chat/${room}`, { name: "Anna" });
    assert.deepEqual((await again.next()).messages, []);
  });

  it("judges what it is asked", async () => {
    assert.equal((await ask("chat", { method: "DELETE" })).status, 400);
    assert.equal((await ask("chat?room=a%2Fb", { method: "DELETE" })).status, 400);
    assert.equal((await ask("chat?room=x", { method: "POST", body: { announce: 5 } })).status, 400);
    assert.equal((await ask("chat?room=x", { method: "PUT" })).status, 405);
    const { status, json } = await ask("counter?room=x", { method: "DELETE" });
    assert.equal(status, 409);
    assert.match(json.error, /wipe/);
  });
});

describe("crowd", () => {
  const server = exampleServer();

  it("spreads people, each always to the same room, and lets all hear all", async (t) => {
    const room = `crowd/${server.room()}`;
    const people = [];
    for (let n = 0; n < 16; n++) {
      const client = await Client.join(t, server, room, { _pk: `p${n}` });
      people.push({ client, ...(await client.next()) });
    }
    const shards = new Set(people.map(({ shard }) => shard));
    assert.ok(shards.size >= 3, `rooms ${[...shards]}`);
    const counts = (await server.json(`/parties/${room}`)).people;
    assert.deepEqual(counts, [1, 2, 3, 4].map((n) => people.filter(({ shard }) => shard === n).length));

    people[0].client.send(" hello all ");
    for (const { client } of people) assert.deepEqual(await client.next(), { text: "hello all", shard: people[0].shard });
    const again = await Client.join(t, server, room, { _pk: "p5" });
    assert.deepEqual(await again.next(), { shard: people[5].shard, of: 4 });
    await refusesNonsenseText(people[1].client);
  });

  async function refusesNonsenseText(client) {
    for (const nonsense of ["", "   ", "x".repeat(501), Buffer.from("x")]) {
      client.send(nonsense);
      assert.equal(typeof (await client.next()).error, "string");
    }
  }

  it("nobody picks a room", async () => {
    const { response } = await server.upgrade(`/parties/crowd/${server.room()}~2`);
    assert.equal(response.status, 404);
    assert.equal((await server.request(`/parties/crowd/${server.room()}~2`)).status, 404);
  });
});

describe("a page at a URL of the project's own", () => {
  // As a project's main would do it: parties/main.lua is the message server here, and has no onFetch.
  const server = serverForSuite({
    "parties/main.lua": lua`
      local Main = {}
      function Main:onFetch(request)
        local name = request.path:match("^/book/([%w-]+)$")
        if not name then return nil end
        local page = party.parties.guestbook:get(name):fetch("/", { headers = { Accept = "text/html" } })
        return Response.html(page:text(), { status = page.status })
      end
      return Main
    `,
    "parties/guestbook.lua": readFileSync(join(REPOSITORY, "parties/guestbook.lua")),
    "lib/check.lua": readFileSync(join(REPOSITORY, "lib/check.lua")),
  });

  it("comes from the room, with what is in it", async () => {
    const signed = await server.request("/parties/guestbook/front", {
      method: "POST",
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
      body: "name=Anna&text=Here+%26+there",
    });
    assert.equal(signed.status, 303);
    const page = await server.request("/book/front");
    assert.equal(page.status, 200);
    assert.match(page.header("content-type"), /^text\/html/);
    assert.match(page.text, /<p>Here &amp; there<\/p>/);
    assert.equal((await server.request("/book/a/b")).status, 404);
  });
});
