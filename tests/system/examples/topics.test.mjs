// parties/topics.lua

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Client, exampleServer, post, refusesNonsense } from "../lib/examples.mjs";

describe("topics", () => {
  const server = exampleServer();

  async function subscriber(t, room, topics, query) {
    const client = await Client.join(t, server, room, query);
    client.send({ subscribe: topics });
    assert.deepEqual(await client.next(), { topics });
    return client;
  }

  it("go to who wants them", async (t) => {
    const room = `topics/${server.room()}`;
    const news = await subscriber(t, room, ["news"]);
    const both = await subscriber(t, room, ["sport", "news"]);
    const none = await subscriber(t, room, []);
    none.send({ publish: "news", data: { title: "It rains", n: 1 } });
    for (const client of [news, both]) assert.deepEqual(await client.next(), { topic: "news", data: { title: "It rains", n: 1 } });
    assert.deepEqual(await post(server, `${room}/sport`, "1:0"), { status: 200, text: '{"receivers":1}' });
    assert.deepEqual(await both.next(), { topic: "sport", data: "1:0" });
    assert.equal((await post(server, `${room}/news`, { a: [1] }, { "Content-Type": "application/json" })).text, '{"receivers":2}');
    assert.deepEqual(await news.next(), { topic: "news", data: { a: [1] } });
    await both.next();
    both.send({ subscribe: ["sport"] });
    assert.deepEqual(await both.next(), { topics: ["sport"] });
    assert.equal((await post(server, `${room}/news`, "x")).text, '{"receivers":1}');
    assert.equal((await post(server, `${room}/nobody`, "x")).text, '{"receivers":0}');
  });

  it("an id is no topic", async (t) => {
    const room = `topics/${server.room()}`;
    await subscriber(t, room, [], { _pk: "news" });
    assert.equal((await post(server, `${room}/news`, "x")).text, '{"receivers":0}');
  });

  it("judges names", async (t) => {
    const room = `topics/${server.room()}`;
    const client = await Client.join(t, server, room);
    await refusesNonsense(client, [
      { subscribe: ["a b"] }, { subscribe: [5] }, { subscribe: [""] }, { subscribe: "news" }, { subscribe: [..."abcdefghi"] },
      { publish: "a b", data: 1 }, { publish: "a" }, { publish: "x".repeat(51), data: 1 },
    ]);
    client.send({ subscribe: [..."abcdefgh", "a"] });
    assert.deepEqual(await client.next(), { topics: [..."abcdefgh"] });
    assert.equal((await post(server, `${room}/`, "x")).status, 404);
    assert.equal((await post(server, `${room}/a/b`, "x")).status, 404);
    assert.equal((await server.request(`/parties/${room}/a`)).status, 405);
    assert.equal((await post(server, `${room}/a`, "{", { "Content-Type": "application/json" })).status, 400);
  });
});
