// parties/assistant.lua, with its stand-in and with a model of the test's own.

import assert from "node:assert/strict";
import http from "node:http";
import { describe, it } from "node:test";

import { fetch } from "undici";

import { Client, exampleServer, post, refusesNonsense } from "../lib/examples.mjs";
import { config } from "../lib/project.mjs";
import { REPOSITORY, serverFor } from "../lib/server.mjs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeProject } from "../lib/project.mjs";

// The pieces of one answer, to its end.
async function answer(client) {
  let text = "";
  for (;;) {
    const message = await client.next("a piece");
    if (message.piece) text += message.piece;
    if (message.done || message.failed) return { text, ...message };
  }
}

describe("assistant", () => {
  const server = exampleServer();

  it("everybody hears the answer, newcomers from where it is", async (t) => {
    const room = `assistant/${server.room()}`;
    const [a, b] = [await Client.join(t, server, room), await Client.join(t, server, room)];
    assert.deepEqual([await a.next(), await b.next()], Array(2).fill({ turns: [], busy: false }));
    a.send({ ask: " Is 100%s of it “true”? " });
    for (const client of [a, b]) {
      assert.deepEqual(await client.next(), { turn: { role: "user", text: "Is 100%s of it “true”?" } });
      assert.deepEqual(await client.next(), { turn: { role: "assistant", text: "" } });
    }
    const first = await b.next();
    assert.equal(typeof first.piece, "string");
    b.send({ ask: "And me?" });
    const late = await Client.join(t, server, room);
    const { turns, busy } = await late.next();
    assert.equal(busy, true);
    assert.ok(turns[1].text.startsWith(first.piece));
    const [forA, forLate] = [await answer(a), await answer(late)];
    assert.equal(turns[1].text + forLate.text, forA.text);
    assert.match(forA.text, /Is 100%s of it “true”\?/);
    assert.ok(await b.find(({ error }) => error === "one question at a time"));
    assert.deepEqual((await (await Client.join(t, server, room)).next()).turns[1], { role: "assistant", text: forA.text });
  });

  it("answers a request while it thinks", async (t) => {
    const room = `assistant/${server.room()}`;
    const client = await Client.join(t, server, room);
    const response = await fetch(`${server.url}/parties/${room}`, { method: "POST", body: '{"ask":"What is a party?"}' });
    assert.equal(response.status, 200);
    let pieces = 0;
    let text = "";
    for await (const chunk of response.body) {
      pieces++;
      text += Buffer.from(chunk).toString();
    }
    assert.ok(pieces > 1, "it came in pieces");
    assert.equal((await answer(client)).text, text);
  });

  it("goes on for the room when who has asked is gone", async (t) => {
    const room = `assistant/${server.room()}`;
    const client = await Client.join(t, server, room);
    const gone = new AbortController();
    const response = await fetch(`${server.url}/parties/${room}`, { method: "POST", body: '{"ask":"Who is there?"}', signal: gone.signal });
    await response.body.getReader().read();
    gone.abort();
    assert.equal((await answer(client)).done, true);
    client.send({ ask: "Still here?" });
    assert.equal((await answer(client)).done, true);
  });

  it("says what it does not understand", async (t) => {
    const room = `assistant/${server.room()}`;
    const client = await Client.join(t, server, room);
    await refusesNonsense(client, ['{"ask":""}', '{"ask":5}', JSON.stringify({ ask: "x".repeat(2001) })]);
    for (const body of ["{", "5", "{}", '{"ask":" "}']) assert.equal((await post(server, room, body)).status, 400, body);
    assert.equal((await server.request(`/parties/${room}`)).status, 405);
  });

  it("asks the model at MODEL_URL, and says when that fails", async (t) => {
    const asked = [];
    const model = http.createServer(async (request, response) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      asked.push({ key: request.headers.authorization, ...JSON.parse(body) });
      if (asked.length === 3) return response.writeHead(500).end();
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      const event = (value) => response.write(`data: ${JSON.stringify(value)}\n\n`);
      event({ choices: [{ delta: { role: "assistant" } }] });
      for (const content of ["Guten ", "Abend", "! ü🎉"]) event({ choices: [{ delta: { content } }] });
      response.write(": a comment\ndata: no json\n\n");
      if (asked.length === 2) return response.socket.end(); // in the middle of the body
      response.end("data: [DONE]\n\n");
    });
    await new Promise((done) => model.listen(0, "127.0.0.1", done));
    t.after(() => model.close());
    const project = await writeProject({});
    t.after(project.remove);
    const file = join(project.root, "festa.lua");
    await writeFile(file, config({ fetchPrivate: true }));
    const url = `http://127.0.0.1:${model.address().port}/v1/chat/completions`;
    const own = await serverFor(t, undefined, { project, directory: REPOSITORY, args: ["--config", file, "--var", `MODEL_URL=${url}`, "--var", "MODEL_KEY=k"] });
    const client = await Client.join(t, own, "assistant/r");
    client.send({ ask: "Hello" });
    assert.deepEqual(await answer(client), { text: "Guten Abend! ü🎉", done: true });
    assert.deepEqual(asked[0], { key: "Bearer k", model: "default", stream: true, messages: [{ role: "user", content: "Hello" }] });
    client.send({ ask: "Again" });
    assert.equal((await answer(client)).failed, "There was no answer, or only half of one.");
    assert.deepEqual(asked[1].messages.map(({ role }) => role), ["user", "assistant", "user"]);
    client.send({ ask: "And again" });
    assert.equal((await answer(client)).text, "");
    client.send({ ask: "Once more" });
    assert.equal((await answer(client)).done, true, "the room goes on");
  });
});
