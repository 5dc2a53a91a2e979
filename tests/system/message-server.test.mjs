// The message server of the documentation, through the clients that people use.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fetch } from "undici";
import WebSocket from "ws";

import { ECHO, MESSAGE_SERVER } from "./lib/parties.mjs";
import { REPOSITORY, serverFor, serverForSuite } from "./lib/server.mjs";
import { Changes } from "./lib/wait.mjs";

// A client's socket that keeps what it gets.
async function listen(server, path) {
  const changes = new Changes();
  const messages = [];
  const socket = new WebSocket(`ws://${server.host}${path}`);
  let open = false;
  socket.on("open", () => {
    open = true;
    changes.changed();
  });
  socket.on("error", (error) => {
    messages.push({ error });
    changes.changed();
  });
  socket.on("message", (data, binary) => {
    messages.push({ text: data.toString(), binary });
    changes.changed();
  });
  const pongs = [];
  socket.on("pong", (data) => {
    pongs.push(data.toString());
    changes.changed();
  });
  await changes.until(() => (open ? true : messages[0]?.error && assert.fail(messages[0].error)), "an open socket");
  return {
    messages,
    // All that the server had sent when it read a ping of now.
    async settled() {
      const mark = String(pongs.length);
      socket.ping(mark);
      await changes.until(() => (pongs.includes(mark) ? true : undefined), "a pong");
      return messages;
    },
    close: () => socket.terminate(),
  };
}

async function post(server, path, body) {
  const response = await fetch(`${server.url}${path}`, { method: "POST", body });
  return [response.status, await response.text()];
}

async function get(server, path) {
  const response = await fetch(`${server.url}${path}`);
  assert.equal(response.status, 200);
  return response.text();
}

// The steps that the project promises from its first day.
async function steps(server) {
  const room = server.room();
  const path = `/parties/main/${room}`;

  const first = await fetch(`${server.url}${path}`);
  assert.equal(first.status, 200);
  assert.equal(first.headers.get("content-type"), "text/plain;charset=UTF-8");
  assert.equal(first.headers.get("content-length"), "2");
  assert.equal(await first.text(), "[]");

  const inRoom = [await listen(server, path), await listen(server, `/party/${room}`), await listen(server, `${path}/sub?x=1`)];
  const elsewhere = await listen(server, `/parties/main/${server.room()}`);
  try {
    assert.deepEqual(await post(server, path, JSON.stringify({ message: "Hello!" })), [200, "OK"]);
    for (const socket of inRoom) assert.deepEqual(await socket.settled(), [{ text: "Hello!", binary: false }]);
    assert.deepEqual(await elsewhere.settled(), []);

    assert.equal(await get(server, path), '["Hello!"]');
    assert.equal(await get(server, `/party/${room}`), '["Hello!"]', "/party/:room is /parties/main/:room");

    const put = await fetch(`${server.url}${path}`, { method: "PUT", body: "{}" });
    assert.deepEqual([put.status, await put.text()], [405, "Method not allowed"]);

    const [status, text] = await post(server, path, '{"message": }');
    assert.equal(status, 400);
    assert.match(text, /line 1\b/);
    assert.match(text, /column \d+/);

    // nothing of the refused ones was kept or sent
    assert.equal(await get(server, path), '["Hello!"]');
    for (const socket of inRoom) assert.equal((await socket.settled()).length, 1);
  } finally {
    for (const socket of [...inRoom, elsewhere]) socket.close();
  }
}

describe("the message server", () => {
  const server = serverForSuite({ "parties/main.lua": MESSAGE_SERVER, "parties/other.lua": ECHO });

  it("takes the documented steps", () => steps(server));

  it("knows the place of a mistake in JSON", async () => {
    const path = `/parties/main/${server.room()}`;
    const [status, text] = await post(server, path, '{\n  "message": oops\n}');
    assert.equal(status, 400);
    assert.match(text, /line 2\b/);
    assert.match(text, /column 14\b/);
    for (const body of ["", "{", '{"message":"x"', "[1,]", '{"a":1}}', "{'a':1}"]) {
      const [code, answer] = await post(server, path, body);
      assert.equal(code, 400, `${JSON.stringify(body)}: ${answer}`);
      assert.match(answer, /line \d+\b.*column \d+/s);
    }
    const [code] = await post(server, path, Buffer.from('{"message":"\xff"}', "latin1"));
    assert.equal(code, 400, "JSON that is not UTF-8");
    assert.equal(await get(server, path), "[]");
  });

  it("sends a number as text and answers 500 to what it cannot send", async () => {
    const path = `/parties/main/${server.room()}`;
    const socket = await listen(server, path);
    try {
      assert.deepEqual(await post(server, path, '{"message":5}'), [200, "OK"]);
      assert.deepEqual(await post(server, path, '{"message":"zwei ü 🎉"}'), [200, "OK"]);
      const [status] = await post(server, path, "{}");
      assert.equal(status, 500, "party.broadcast(nil) raises");
      assert.deepEqual(
        (await socket.settled()).map((m) => m.text),
        ["5", "zwei ü 🎉"],
      );
      assert.equal(await get(server, path), '[5,"zwei ü 🎉"]');
    } finally {
      socket.close();
    }
  });

  it("runs the script for each method that HTTP knows", async () => {
    const path = `/parties/main/${server.room()}`;
    for (const method of ["PUT", "DELETE", "PATCH", "OPTIONS"]) {
      const response = await server.request(path, { method });
      assert.deepEqual([response.status, response.text], [405, "Method not allowed"], method);
    }
    const head = await server.request(path, { method: "HEAD" });
    assert.equal(head.status, 405);
    assert.equal(head.header("content-length"), "18");
  });

  it("keeps rooms apart, and parties", async () => {
    const [a, b] = [server.room(), server.room()];
    await post(server, `/parties/main/${a}`, '{"message":"a"}');
    await post(server, `/parties/main/${b}`, '{"message":"b"}');
    assert.equal(await get(server, `/parties/main/${a}`), '["a"]');
    assert.equal(await get(server, `/parties/main/${b}`), '["b"]');
    const sameId = await listen(server, `/parties/other/${a}`);
    try {
      await post(server, `/parties/main/${a}`, '{"message":"again"}');
      assert.deepEqual(await sameId.settled(), []);
    } finally {
      sameId.close();
    }
  });

  it("says what is not there", async () => {
    for (const [path, text] of [
      ["/parties/nope/R", "Party nope not found"],
      ["/parties/nope/R/deeper?x=1", "Party nope not found"],
      ["/parties/Main/R", "Party Main not found"],
      ["/parties/main", "Not found"],
      ["/parties/main/", "Not found"],
      ["/parties/main//x", "Not found"],
      ["/parties", "Not found"],
      ["/parties/", "Not found"],
      ["/party", "Not found"],
      ["/party/", "Not found"],
      ["/PARTIES/main/R", "Not found"],
      ["/partiesx/main/R", "Not found"],
      ["/x/parties/main/R", "Not found"],
      ["/", "Not found"],
      ["/zzz", "Not found"],
    ]) {
      for (const method of ["GET", "POST"]) {
        const response = await server.request(path, { method });
        assert.deepEqual([response.status, response.text], [404, text], `${method} ${path}`);
        assert.match(response.header("content-type"), /^text\/plain/);
      }
    }
  });

  it("ignores messages, having no onMessage", async () => {
    const socket = await server.socket(`/parties/main/${server.room()}`);
    socket.text("hello?");
    socket.binary(Buffer.from([1, 2, 3]));
    assert.deepEqual(await socket.fence(), []);
    await socket.leave();
  });
});

describe("the repository as a project", () => {
  it("serves the same message server", async (t) => {
    const server = await serverFor(t, {}, { directory: REPOSITORY });
    assert.ok(existsSync(join(REPOSITORY, "parties/main.lua")));
    assert.ok(
      readFileSync(join(REPOSITORY, "parties/main.lua"), "utf8").includes(MESSAGE_SERVER.trim()),
      "parties/main.lua is the documented script",
    );
    await steps(server);
  });
});
