// parties/chat.lua

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Client, exampleServer, refusesNonsense } from "../lib/examples.mjs";

describe("chat", () => {
  const server = exampleServer();
  const is = (type) => (message) => message.type === type;

  it("people come, talk and go", async (t) => {
    const room = `chat/${server.room()}`;
    const anna = await Client.join(t, server, room, { name: "Anna" });
    assert.deepEqual(await anna.next(), { type: "welcome", you: "Anna", messages: [], more: false });
    assert.deepEqual(await anna.next(), { type: "people", names: ["Anna"] });
    const ben = await Client.join(t, server, room, { name: " Ben  " });
    assert.equal((await ben.find(is("welcome"))).you, "Ben");
    assert.deepEqual(await anna.next(), { type: "people", names: ["Anna", "Ben"] });

    anna.send({ type: "say", text: "  hello <b>Ben</b> ü🎉 " });
    for (const client of [anna, ben]) {
      const { at, ...said } = await client.find(is("message"));
      assert.deepEqual(said, { type: "message", n: 1, name: "Anna", text: "hello <b>Ben</b> ü🎉" });
      assert.ok(Math.abs(at - Date.now()) < 600_000);
    }
    await ben.leave();
    assert.deepEqual(await anna.next(), { type: "people", names: ["Anna"] });
  });

  it("keeps what was said, and gives it in pieces", async (t) => {
    const room = `chat/${server.room()}`;
    const total = 57;
    for (let n = 1; n <= total; ) {
      const client = await Client.join(t, server, room, { name: "Anna" }); // each may say five at once
      for (let k = 0; k < 5 && n <= total; k++, n++) {
        client.send({ type: "say", text: `line ${n}` });
        await client.find(is("message"));
      }
      await client.leave();
    }
    const late = await Client.join(t, server, room, { name: "Late" });
    const welcome = await late.find(is("welcome"));
    assert.deepEqual(welcome.messages.map(({ n }) => n), Array.from({ length: 50 }, (_, k) => k + 8));
    assert.equal(welcome.more, true);
    late.send({ type: "earlier", before: welcome.messages[0].n });
    const earlier = await late.find(is("earlier"));
    assert.deepEqual(earlier.messages.map(({ text }) => text), Array.from({ length: 7 }, (_, k) => `line ${k + 1}`));
    assert.equal(earlier.more, false);
  });

  it("wants a name, and no floods", async (t) => {
    const room = `chat/${server.room()}`;
    for (const query of [{}, { name: " " }, { name: "x".repeat(41) }]) {
      const nameless = await Client.join(t, server, room, query);
      assert.equal((await nameless.end()).code, 4400);
    }
    const client = await Client.join(t, server, room, { name: "ü".repeat(40) });
    for (let n = 0; n < 20; n++) client.send({ type: "say", text: "again" });
    assert.equal((await client.find(is("error"))).message, "not so fast, please");
  });

  it("says what it does not understand", async (t) => {
    const client = await Client.join(t, server, `chat/${server.room()}`, { name: "Anna" });
    await refusesNonsense(client, [
      { type: "say" },
      { type: "say", text: "   " },
      { type: "say", text: "x".repeat(2001) },
      { type: "say", text: 5 },
      { type: "earlier", before: 0 },
      { type: "earlier", before: "1" },
    ]);
  });
});
