// parties/todo.lua

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Client, exampleServer, refusesNonsense } from "../lib/examples.mjs";
import { REPOSITORY, serverFor } from "../lib/server.mjs";
import { writeProject } from "../lib/project.mjs";

const item = (id, text = id, done = false) => ({ id, text, done });

describe("todo", () => {
  const server = exampleServer();

  it("all see the same changes in the same order", async (t) => {
    const room = `todo/${server.room()}`;
    const [a, b] = [await Client.join(t, server, room), await Client.join(t, server, room)];
    assert.deepEqual([await a.next(), await b.next()], [{ items: [] }, { items: [] }]);
    a.send({ put: item("milk") });
    b.send({ put: item("bread") });
    a.send({ put: item("milk", "Milk, two", true) });
    const seen = async (client) => [await client.next(), await client.next(), await client.next()];
    const order = await seen(a);
    assert.deepEqual(await seen(b), order);
    a.send({ delete: "nothing" });
    a.send({ clear: true });
    assert.deepEqual([await a.next(), await b.next()], [{ delete: "milk" }, { delete: "milk" }]);
    assert.deepEqual(await (await Client.join(t, server, room)).next(), { items: [item("bread")] });
  });

  it("judges items, and says what there is", async (t) => {
    const client = await Client.join(t, server, `todo/${server.room()}`);
    client.send({ put: item("kept") });
    await refusesNonsense(client, [
      { put: 5 }, { put: {} }, { put: item("") }, { put: item("a", "") }, { put: item("a", "x".repeat(301)) }, { put: { id: "a", text: "a" } },
      { put: item("x".repeat(41), "a") }, { put: item(5, "a") }, { delete: 5 }, { clear: 1 },
    ]);
    client.send({});
    assert.deepEqual((await client.next()).items, [item("kept")]);
  });

  it("stops at 500", async (t) => {
    const client = await Client.join(t, server, `todo/${server.room()}`);
    for (let n = 0; n <= 500; n++) client.send({ put: item(`i${n}`) });
    const { error, items } = await client.find((message) => message.error);
    assert.deepEqual([error, items.length], ["the list is full", 500]);
    client.send({ put: item("i3", "changed") });
    assert.equal((await client.next()).put.text, "changed", "what is there may change");
  });

  it("is there after a restart, in order", async (t) => {
    const project = await writeProject({});
    t.after(project.remove);
    const first = await serverFor(t, undefined, { project, directory: REPOSITORY });
    const client = await Client.join(t, first, "todo/r");
    for (const id of ["c", "a", "b"]) client.send({ put: item(id) });
    client.send({ delete: "a" });
    client.send({ put: item("c", "c", true) });
    await client.find(({ put }) => put?.done);
    await first.stop();
    const second = await serverFor(t, undefined, { project, directory: REPOSITORY });
    const again = await Client.join(t, second, "todo/r");
    assert.deepEqual((await again.next()).items, [item("c", "c", true), item("b")]);
    again.send({ put: item("d") });
    await again.next();
    assert.deepEqual((await (await Client.join(t, second, "todo/r")).next()).items.map(({ id }) => id), ["c", "b", "d"]);
  });
});
