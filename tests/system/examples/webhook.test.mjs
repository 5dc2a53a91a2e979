// parties/webhook.lua

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, it } from "node:test";

import { Client, exampleServer, post } from "../lib/examples.mjs";

const SECRET = "it is a secret ü";
const sign = (body, secret = SECRET) => `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;

describe("webhook", () => {
  const server = exampleServer({ args: ["--var", `WEBHOOK_SECRET=${SECRET}`] });
  const bare = exampleServer();

  function deliver(room, body, headers = {}) {
    return post(server, room, body, { "X-Hub-Signature-256": sign(body), "X-GitHub-Delivery": "d1", "X-GitHub-Event": "push", ...headers });
  }

  it("takes what is signed, once, and tells the room", async (t) => {
    const room = `webhook/${server.room()}`;
    const client = await Client.join(t, server, room);
    assert.deepEqual(await client.next(), { deliveries: [] });
    const body = '{ "action": "opened", "n": 1 }';
    assert.equal((await deliver(room, body)).status, 202);
    const { delivery } = await client.next();
    assert.deepEqual([delivery.id, delivery.event, delivery.action, delivery.bytes], ["d1", "push", "opened", body.length]);
    assert.deepEqual(await deliver(room, body), { status: 200, text: "It has been here before" });
    assert.equal((await deliver(room, "{}", { "X-GitHub-Delivery": "d2" })).status, 202);
    assert.equal((await client.next()).delivery.id, "d2");
    const late = await Client.join(t, server, room);
    assert.deepEqual((await late.next()).deliveries.map(({ id }) => id), ["d2", "d1"]);
  });

  it("refuses everything else", async () => {
    const room = `webhook/${server.room()}`;
    const body = '{"a":1}';
    for (const signature of ["", "sha256=", sign(body).slice(0, -1), sign(body, "other"), sign('{"a": 1}'), sign(body).toUpperCase(), sign(body).replace("sha256", "sha1"), `${sign(body)}00`])
      assert.equal((await deliver(room, body, { "X-Hub-Signature-256": signature })).status, 401, signature);
    assert.equal((await deliver(room, body, { "X-GitHub-Delivery": "" })).status, 400);
    assert.equal((await deliver(room, body, { "X-GitHub-Event": "x".repeat(51) })).status, 400);
    for (const text of ["{", "5", "null", '"a"']) assert.equal((await deliver(room, text)).status, 400, text);
    assert.equal((await server.request(`/parties/${room}`)).status, 405);
    assert.equal((await post(bare, room, body, { "X-Hub-Signature-256": sign(body, "") })).status, 503);
  });

  it("keeps a hundred", async (t) => {
    const room = `webhook/${server.room()}`;
    for (let n = 0; n < 103; n++) assert.equal((await deliver(room, "{}", { "X-GitHub-Delivery": `n${n}` })).status, 202);
    assert.equal((await deliver(room, "{}", { "X-GitHub-Delivery": "n3" })).status, 200, "it is known still");
    assert.equal((await deliver(room, "{}", { "X-GitHub-Delivery": "n2" })).status, 202, "it is forgotten");
    assert.equal((await (await Client.join(t, server, room)).next()).deliveries.length, 20);
  });
});
