// parties/counter.lua

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Client, exampleServer, post, refusesNonsense } from "../lib/examples.mjs";
import { REPOSITORY, serverFor } from "../lib/server.mjs";
import { writeProject } from "../lib/project.mjs";

describe("counter", () => {
  const server = exampleServer();

  it("counts for sockets and requests alike", async (t) => {
    const room = `counter/${server.room()}`;
    const [a, b] = [await Client.join(t, server, room), await Client.join(t, server, room)];
    assert.deepEqual([await a.next(), await b.next()], [{ value: 0 }, { value: 0 }]);
    a.send({ by: 3 });
    assert.deepEqual([await a.next(), await b.next()], [{ value: 3 }, { value: 3 }]);
    assert.deepEqual(await post(server, room, { by: -1 }), { status: 200, text: '{"value":2}' });
    assert.deepEqual([await a.next(), await b.next()], [{ value: 2 }, { value: 2 }]);
    assert.deepEqual(await server.json(`/parties/${room}`), { value: 2 });
  });

  it("a hundred at once are a hundred", async () => {
    const room = `counter/${server.room()}`;
    await Promise.all(Array.from({ length: 100 }, () => post(server, room, { by: 1 })));
    assert.deepEqual(await server.json(`/parties/${room}`), { value: 100 });
  });

  it("takes nothing but whole numbers", async (t) => {
    const room = `counter/${server.room()}`;
    const client = await Client.join(t, server, room);
    await client.next();
    await refusesNonsense(client, ['{"by":1.5}', '{"by":"1"}', '{"by":101}', '{"by":1e300}', '{"by":null}']);
    for (const body of ['{"by":1.5}', "[]", "5", "null", "{}", "{"]) assert.equal((await post(server, room, body)).status, 400, body);
    const put = await server.request(`/parties/${room}`, { method: "PUT" });
    assert.deepEqual([put.status, put.header("allow")], [405, "GET, POST"]);
    assert.deepEqual(await server.json(`/parties/${room}`), { value: 0 });
  });

  it("has its value after kill -9", async (t) => {
    const project = await writeProject({});
    t.after(project.remove);
    const first = await serverFor(t, undefined, { project, directory: REPOSITORY });
    assert.equal((await post(first, "counter/r", { by: 7 })).text, '{"value":7}');
    await first.stop({ signal: "SIGKILL", code: null }).catch(() => {});
    const second = await serverFor(t, undefined, { project, directory: REPOSITORY });
    assert.deepEqual(await second.json("/parties/counter/r"), { value: 7 });
  });
});
