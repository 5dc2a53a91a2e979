// parties/cursors.lua, reactions.lua, presence.lua

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Client, exampleServer, refusesNonsense } from "../lib/examples.mjs";

describe("cursors", () => {
  const server = exampleServer();

  it("go to the others, are told to newcomers, and leave with their client", async (t) => {
    const room = `cursors/${server.room()}`;
    const a = await Client.join(t, server, room, { _pk: "a" });
    assert.deepEqual(await a.next(), { cursors: {} });
    a.send({ x: 0.5, y: 1 });
    a.send({ x: 0.25, y: 0 });
    const nonsense = refusesNonsense(a, ['{"x":2,"y":0}', '{"x":0.5}', '{"x":"0","y":"0"}', '{"gone":1}']);
    await nonsense;
    const b = await Client.join(t, server, room, { _pk: "b" });
    assert.deepEqual(await b.next(), { cursors: { a: { x: 0.25, y: 0 } } });
    b.send({ x: 0, y: 0 });
    assert.deepEqual(await a.next(), { id: "b", x: 0, y: 0 });
    b.send({ gone: true });
    assert.deepEqual(await a.next(), { id: "b", gone: true });
    a.socket.terminate();
    assert.deepEqual(await b.next(), { id: "a", gone: true });
  });

  it("an id that comes again takes over", async (t) => {
    const room = `cursors/${server.room()}`;
    const [witness, first] = [await Client.join(t, server, room, { _pk: "w" }), await Client.join(t, server, room, { _pk: "a" })];
    const second = await Client.join(t, server, room, { _pk: "a" });
    assert.equal((await first.end()).code, 4409);
    second.send({ x: 1, y: 1 });
    await witness.next();
    assert.deepEqual(await witness.next(), { id: "a", x: 1, y: 1 }, "and nobody was told that it had gone");
  });
});

describe("reactions", () => {
  const server = exampleServer();

  it("come in bursts, and are counted", async (t) => {
    const room = `reactions/${server.room()}`;
    const [a, b] = [await Client.join(t, server, room), await Client.join(t, server, room)];
    const none = { "🎉": 0, "❤️": 0, "😂": 0, "👏": 0, "🤔": 0 };
    assert.deepEqual([await a.next(), await b.next()], [{ totals: none }, { totals: none }]);
    for (let n = 0; n < 3; n++) a.send("🎉");
    b.send("👏");
    for (const client of [a, b]) {
      const sum = {};
      for (let seen = 0; seen < 4; ) {
        const { burst } = await client.next();
        for (const [kind, count] of Object.entries(burst)) (sum[kind] = (sum[kind] ?? 0) + count), (seen += count);
      }
      assert.deepEqual(sum, { "🎉": 3, "👏": 1 });
    }
    const late = await Client.join(t, server, room);
    assert.deepEqual(await late.next(), { totals: { ...none, "🎉": 3, "👏": 1 } });
  });

  it("ten at once and no more, for each client; nothing else", async (t) => {
    const room = `reactions/${server.room()}`;
    const [flood, other] = [await Client.join(t, server, room), await Client.join(t, server, room)];
    for (let n = 0; n < 50; n++) flood.send("🎉");
    await flood.find((message) => message.slow);
    other.send("👏");
    await other.find(({ burst }) => burst?.["👏"] === 1);
    const { totals } = await (await Client.join(t, server, room)).next();
    assert.ok(totals["🎉"] >= 10 && totals["🎉"] < 50, String(totals["🎉"]));
    await refusesNonsense(other, ["🎉🎉", "totals", Buffer.from("🎉")]);
  });
});

describe("presence", () => {
  const server = exampleServer();
  const people = (message) => message.people;

  it("people, not tabs", async (t) => {
    const room = `presence/${server.room()}`;
    const anna = await Client.join(t, server, room, { _pk: "anna", name: "Anna", page: "/home" });
    assert.deepEqual(await anna.next(), { links: {} });
    assert.deepEqual(await anna.next(), { people: [{ id: "anna", name: "Anna", pages: ["/home"] }] });
    const second = await Client.join(t, server, room, { _pk: "anna", name: "Anna", page: "/about" });
    assert.deepEqual(await anna.next(), { people: [{ id: "anna", name: "Anna", pages: ["/home", "/about"] }] });
    const ben = await Client.join(t, server, room, { _pk: "ben", name: "Ben", page: "/home" });
    await anna.next();
    ben.send({ page: "/prices" });
    assert.deepEqual(await anna.next(), { people: [{ id: "anna", name: "Anna", pages: ["/home", "/about"] }, { id: "ben", name: "Ben", pages: ["/prices"] }] });
    await second.leave();
    assert.deepEqual((await anna.next()).people[0].pages, ["/home"]);
    ben.socket.terminate();
    assert.equal((await anna.find(people)).people.length, 1);
  });

  it("counts links, and keeps the counts", async (t) => {
    const room = `presence/${server.room()}`;
    const query = { name: "Anna", page: "/" };
    const [a, b] = [await Client.join(t, server, room, query), await Client.join(t, server, room, query)];
    const link = "https://example.org/?a=b#ü";
    for (const client of [a, b, a]) client.send({ follow: link });
    const links = (message) => message.links?.[link];
    for (const client of [a, b]) assert.equal((await client.find((message) => links(message) === 3)).links[link], 3);
    assert.deepEqual(await (await Client.join(t, server, room, query)).next(), { links: { [link]: 3 } });
    await refusesNonsense(a, ['{"page":""}', '{"follow":5}', JSON.stringify({ follow: "x".repeat(501) })]);
  });

  it("wants to know who and where", async (t) => {
    for (const query of [{}, { name: "Anna" }, { page: "/" }])
      assert.equal((await (await Client.join(t, server, `presence/${server.room()}`, query)).end()).code, 4400);
  });
});
