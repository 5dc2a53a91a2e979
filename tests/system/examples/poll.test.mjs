// parties/poll.lua

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Client, exampleServer, post, refusesNonsense } from "../lib/examples.mjs";

const TEA = { question: "Tea?", options: ["yes", "no", "later"] };

describe("poll", () => {
  const server = exampleServer();
  const tally = ({ poll }) => poll && [...poll.options.map(({ votes }) => votes), poll.mine];

  it("is opened once, and everybody sees the votes", async (t) => {
    const room = `poll/${server.room()}`;
    assert.equal((await server.request(`/parties/${room}`)).status, 404);
    const early = await Client.join(t, server, room, { _pk: "early" });
    assert.deepEqual(await early.next(), { poll: null });
    early.send({ vote: 1 });
    assert.equal((await early.next()).error, "there is no poll here yet");

    assert.equal((await post(server, room, TEA)).status, 201);
    assert.deepEqual((await early.next()).poll, { question: "Tea?", options: TEA.options.map((text) => ({ text, votes: 0 })), mine: 0 });
    assert.equal((await post(server, room, { question: "Coffee?", options: ["a", "b"] })).status, 409);

    const late = await Client.join(t, server, room, { _pk: "late" });
    assert.deepEqual(tally(await late.next()), [0, 0, 0, 0]);
    const steps = [
      [early, 1, [1, 0, 0, 1], [1, 0, 0, 0]],
      [late, 1, [2, 0, 0, 1], [2, 0, 0, 1]],
      [late, 3, [1, 0, 1, 1], [1, 0, 1, 3]],
      [late, 3, [1, 0, 1, 1], [1, 0, 1, 3]],
      [early, 0, [0, 0, 1, 0], [0, 0, 1, 3]],
    ];
    for (const [who, vote, forEarly, forLate] of steps) {
      who.send({ vote });
      assert.deepEqual([tally(await early.next()), tally(await late.next())], [forEarly, forLate]);
    }
    assert.deepEqual(tally(await server.json(`/parties/${room}`)), [0, 0, 1, 0]);
  });

  it("one vote for each id, in however many tabs", async (t) => {
    const room = `poll/${server.room()}`;
    await post(server, room, TEA);
    const tabs = [await Client.join(t, server, room, { _pk: "me" }), await Client.join(t, server, room, { _pk: "me" })];
    tabs[0].send({ vote: 1 });
    await tabs[1].find((message) => message.poll?.mine === 1);
    tabs[1].send({ vote: 2 });
    assert.deepEqual(tally(await tabs[1].next()), [0, 1, 0, 2]);
  });

  it("judges what it is given", async (t) => {
    const room = `poll/${server.room()}`;
    for (const poll of [
      {}, [], "null", "5", "{",
      { question: "", options: ["a", "b"] },
      { question: "x".repeat(201), options: ["a", "b"] },
      { question: "?", options: ["a"] },
      { question: "?", options: "ab" },
      { question: "?", options: ["a", "a"] },
      { question: "?", options: ["a", 5] },
      { question: "?", options: ["a", ""] },
      { question: "?", options: [..."abcdefghi"] },
    ])
      assert.equal((await post(server, room, poll)).status, 400, JSON.stringify(poll));
    await post(server, room, TEA);
    const client = await Client.join(t, server, room);
    await refusesNonsense(client, ['{"vote":4}', '{"vote":-1}', '{"vote":1.5}', '{"vote":"1"}']);
    assert.equal((await server.request(`/parties/${room}`, { method: "DELETE" })).status, 405);
  });
});
