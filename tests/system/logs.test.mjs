// The log: a line for each request and socket, scripts' words and errors, one line for one event.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { ECHO } from "./lib/parties.mjs";
import { lua } from "./lib/project.mjs";
import { freePort, serverFor, serverForSuite } from "./lib/server.mjs";

const TALKER = lua`
local Talker = {}

function Talker:onRequest(request)
  if request.subpath == "/print" then
    print("printed", 1, 2.5, true, nil, "end")
  elseif request.subpath == "/levels" then
    log.debug("at debug")
    log.info("at info", { answer = 42, word = "yes" })
    log.warn("at warn")
    log.error("at error")
  elseif request.subpath == "/nasty" then
    print("two\nlines\r\27[31mred\0nul \"quoted\" \\ \127 zwei ü \xff")
    log.info("fields", { ["a\nb"] = "c\nd", nested = { 1, { 2 } } })
  elseif request.subpath == "/long" then
    print(("long "):rep(100000))
  elseif request.subpath == "/raise" then
    local function inner() error("inner trouble") end
    local function outer() inner() end
    outer()
  elseif request.subpath == "/wrong" then
    log.info()
  end
  return "done"
end

return Talker
`;

describe("the log", () => {
  const server = serverForSuite({ "parties/main.lua": TALKER, "parties/echo.lua": ECHO });

  it("has a line for each request, with party, room, status and ms", async () => {
    const room = server.room("zwei ü");
    for (const [path, status] of [
      [`/parties/main/${encodeURIComponent(room)}`, 200],
      [`/parties/main/${encodeURIComponent(room)}/raise`, 500],
    ]) {
      const from = server.lines.length;
      assert.equal((await server.request(path)).status, status);
      const line = await server.waitForLog((l) => l.room === room && l.status !== undefined, "the request's line", { from });
      assert.deepEqual([line.level, line.party, line.room, line.status], ["info", "main", room, status]);
      assert.equal(typeof line.ms, "number");
      assert.ok(line.ms >= 0 && line.ms < 60000);
      assert.ok(!Number.isNaN(Date.parse(line.ts)) || Number.isFinite(line.ts), `ts: ${line.ts}`);
    }
  });

  it("has a line for each socket, with party, room, status and ms", async () => {
    const room = server.room();
    const from = server.lines.length;
    const socket = await server.socket(`/parties/echo/${room}`);
    await server.waitForLog((l) => l.room === room && l.status === 101, "the line of its opening", { from });
    await socket.leave(4001);
    const line = await server.waitForLog((l) => l.room === room && l.ms !== undefined, "the line of its end", { from });
    assert.deepEqual([line.level, line.party, typeof line.ms], ["info", "echo", "number"]);
  });

  it("has what scripts print and log, with party and room", async () => {
    const room = server.room();
    await server.request(`/party/${room}/print`);
    const printed = await server.waitForText("printed");
    assert.deepEqual([printed.party, printed.room], ["main", room]);
    for (const word of ["1", "2.5", "true", "nil", "end"]) assert.ok(printed.msg.includes(word), printed.msg);
    await server.request(`/party/${room}/levels`);
    for (const level of ["info", "warn", "error"]) {
      const line = await server.waitForText(`at ${level}`);
      assert.deepEqual([line.level, line.party, line.room], [level, "main", room]);
    }
    const line = await server.waitForText("at info");
    assert.ok(JSON.stringify(line).includes("42") && JSON.stringify(line).includes("yes"), JSON.stringify(line));
    assert.ok(!server.lines.some((l) => l.msg.includes("at debug")), "debug is below the level");
  });

  it("is one JSON object a line, whatever scripts and clients say", async () => {
    const room = server.room();
    await server.request(`/party/${room}/nasty`);
    const line = await server.waitForText("two\nlines");
    for (const text of ["red", "nul \"quoted\" \\ ", "zwei ü"]) assert.ok(line.msg.includes(text), JSON.stringify(line.msg));
    await server.waitForText("fields");
    await server.request("/parties/main/%C2%85%E2%80%A8/x%0Ay?z=%0D%0A%1B", { headers: { "User-Agent": 'a"b\\c' } });
    await server.request("/nothing/%0A%0D");
    await server.request(`/party/${room}/long`);
    const long = await server.waitForText("long long");
    assert.ok(long.msg.length > 1000);
    await server.errorsSince(0);
    assert.deepEqual(server.broken, []);
  });

  it("has errors with party, room, handler and traceback", async () => {
    const room = server.room();
    await server.request(`/party/${room}/raise`);
    const line = await server.waitForLog((l) => l.level === "error" && l.room === room, "the error");
    assert.deepEqual([line.party, line.handler], ["main", "onRequest"]);
    const numbers = ["inner()", "outer()"].map((what) => TALKER.split("\n").findIndex((l) => l.includes(`local function ${what}`)) + 1);
    for (const number of numbers) assert.match(line.traceback, new RegExp(`main\\.lua:${number}\\b`));
    assert.ok(JSON.stringify(line).includes("inner trouble"));
  });

  it("takes no part in a script's mistakes with it", async () => {
    const response = await server.request(`/party/${server.room()}/wrong`);
    assert.ok([200, 500].includes(response.status));
  });
});

describe("--log-level", () => {
  it("debug shows debug lines", async (t) => {
    const server = await serverFor(t, { "parties/main.lua": TALKER }, { level: "debug" });
    await server.request("/party/r/levels");
    const line = await server.waitForText("at debug");
    assert.equal(line.level, "debug");
  });

  it("warn hides what is below it", async (t) => {
    const port = await freePort();
    const server = await serverFor(t, { "parties/main.lua": TALKER }, { level: "warn", port });
    await server.request("/party/r/levels");
    await server.waitForText("at error");
    assert.deepEqual(
      server.lines.filter((line) => !["warn", "error"].includes(line.level)),
      [],
    );
    assert.ok(server.lines.some((line) => line.msg.includes("at warn")));
  });
});
