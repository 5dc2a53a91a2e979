// party.broadcast and connection:send: what may be sent, to whom it goes, in which order.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { lua } from "./lib/project.mjs";
import { serverForSuite } from "./lib/server.mjs";

// A message names what is to be broadcast or sent. "raises" tells whether it raised.
const SENDER = lua`
local Sender = {}
local values = {
  text = "text", empty = "", utf8 = "zwei ü 🎉 \0", integer = 42, negative = -7, big = math.maxinteger,
  float = 1.5, wholefloat = 2.0, array = { 1, 2, "x" }, object = { a = { b = true } }, emptytable = {},
  bytes = "\0\1\255", long = ("0123456789"):rep(10000),
}
local bad = {
  ["nil"] = nil, boolean = true, ["function"] = print, nan = { 0 / 0 }, mixed = { 1, a = 2 }, nested = { f = print },
  latin1 = "\xe4", cut = "\xe2\x9c", surrogate = "\xed\xa0\x80", overlong = "\xc0\xaf", beyond = "\xf4\x90\x80\x80",
}
local cycle = {}
cycle[1] = cycle
bad.cycle = cycle

local without = {
  none = function() return nil end,
  emptytable = function() return {} end,
  connection = function(c) return c end,
  id = function(c) return c.id end,
  connections = function(c) return { c } end,
  ids = function(c) return { c.id, "nobody" } end,
  mixed = function(c) return { c, "b" } end,
  option = function(c) return { without = c } end,
  optionid = function(c) return { without = c.id } end,
  optionarray = function(c) return { without = { c, "b" } } end,
  optionempty = function() return { without = {} } end,
  to = function() return { to = "red" } end,
  towithout = function(c) return { to = "red", without = c } end,
  toid = function() return { to = "b" } end,
  tonobody = function() return { to = "nobody" } end,
  strange = function() return "nobody" end,
}

function Sender:getConnectionTags(_, context)
  return context.request:queryAll("tag")
end

function Sender:onMessage(message, connection)
  local what, arg = message:match("^(%S+) ?(.*)$")
  if what == "broadcast" then party.broadcast(values[arg])
  elseif what == "colon" then party:broadcast(values[arg])
  elseif what == "send" then connection:send(values[arg])
  elseif what == "binary" then party.broadcast(values[arg], { binary = true })
  elseif what == "sendbinary" then connection:send(values[arg], { binary = true })
  elseif what == "bad" then
    local ok = pcall(party.broadcast, bad[arg])
    local ok2 = pcall(connection.send, connection, bad[arg])
    connection:send(("%s %s"):format(tostring(ok), tostring(ok2)))
  elseif what == "badoptions" then
    local raised = {}
    for _, options in ipairs({ 5, true, print, { binary = true, to = 5 } }) do
      raised[#raised + 1] = not pcall(party.broadcast, "x", options)
    end
    connection:send(json.encode(raised))
  elseif what == "to" then party.broadcast(arg, without[arg](connection))
  elseif what == "order" then
    for n = 1, 5 do
      party.broadcast("all " .. n)
      connection:send("you " .. n)
      party.broadcast("others " .. n, connection)
    end
  elseif what == "count" then
    for n = 1, tonumber(arg) do party.broadcast(tostring(n)) end
  elseif what == "bracket" then
    connection:send("before")
    party.broadcast("between")
    error("after it all")
  elseif what == "say" then party.broadcast(arg)
  end
end

return Sender
`;

describe("sending", () => {
  const server = serverForSuite({ "parties/main.lua": SENDER });

  // Sockets a, b and c of a new room; a and b have the tag red.
  async function three() {
    const path = `/parties/main/${server.room()}`;
    return {
      a: await server.socket(`${path}?_pk=a&tag=red`),
      b: await server.socket(`${path}?_pk=b&tag=red`),
      c: await server.socket(`${path}?_pk=c`),
    };
  }

  // Who gets what when `from` has said something: { a: [...], b: [...], c: [...] }.
  async function heard({ a, b, c }, from, text) {
    from.text(text);
    // `from` is fenced first: what it has said was done when its pong came
    const first = await from.fence();
    const rest = {};
    for (const [name, socket] of Object.entries({ a, b, c })) {
      rest[name] = socket === from ? first : await socket.fence();
    }
    return rest;
  }

  const leave = (sockets) => Object.values(sockets).forEach((socket) => socket.destroy());

  it("strings, numbers and tables", async () => {
    const sockets = await three();
    for (const [name, text] of [
      ["text", "text"],
      ["empty", ""],
      ["utf8", "zwei ü 🎉 \0"],
      ["integer", "42"],
      ["negative", "-7"],
      ["big", "9223372036854775807"],
      ["float", "1.5"],
      ["wholefloat", "2.0"],
      ["array", '[1,2,"x"]'],
      ["object", '{"a":{"b":true}}'],
      ["emptytable", "[]"],
      ["long", "0123456789".repeat(10000)],
    ]) {
      for (const how of ["broadcast", "colon"]) {
        const all = await heard(sockets, sockets.a, `${how} ${name}`);
        assert.deepEqual(all, { a: [text], b: [text], c: [text] }, `${how} ${name}`);
      }
      assert.deepEqual(await heard(sockets, sockets.b, `send ${name}`), { a: [], b: [text], c: [] });
    }
    leave(sockets);
  });

  it("bytes, as binary messages", async () => {
    const sockets = await three();
    const bytes = Buffer.from([0, 1, 255]);
    assert.deepEqual(await heard(sockets, sockets.a, "binary bytes"), { a: [bytes], b: [bytes], c: [bytes] });
    assert.deepEqual(await heard(sockets, sockets.a, "sendbinary bytes"), { a: [bytes], b: [], c: [] });
    assert.deepEqual(await heard(sockets, sockets.a, "sendbinary text"), { a: [Buffer.from("text")], b: [], c: [] });
    assert.deepEqual(await heard(sockets, sockets.a, "binary empty"), {
      a: [Buffer.alloc(0)],
      b: [Buffer.alloc(0)],
      c: [Buffer.alloc(0)],
    });
    leave(sockets);
  });

  it("what cannot be sent raises, and nobody gets it", async () => {
    const sockets = await three();
    for (const name of ["nil", "boolean", "function", "nan", "mixed", "nested", "latin1", "cut", "surrogate", "overlong", "beyond", "cycle"]) {
      assert.deepEqual(await heard(sockets, sockets.a, `bad ${name}`), { a: ["false false"], b: [], c: [] }, name);
    }
    const { a } = await heard(sockets, sockets.a, "badoptions");
    assert.deepEqual(a, ["[true,true,true,true]"]);
    leave(sockets);
  });

  it("to some only", async () => {
    const sockets = await three();
    for (const [name, to] of Object.entries({
      none: "abc",
      emptytable: "abc",
      connection: "bc",
      id: "bc",
      connections: "bc",
      ids: "bc",
      mixed: "c",
      option: "bc",
      optionid: "bc",
      optionarray: "c",
      optionempty: "abc",
      to: "ab",
      towithout: "b",
      toid: "b",
      tonobody: "",
      strange: "abc",
    })) {
      const got = await heard(sockets, sockets.a, `to ${name}`);
      const who = Object.keys(got)
        .filter((id) => got[id].length > 0)
        .join("");
      assert.equal(who, to, name);
      for (const id of who) assert.deepEqual(got[id], [name]);
    }
    leave(sockets);
  });

  it("without an id leaves out all that share it", async () => {
    const path = `/parties/main/${server.room()}`;
    const [one, two] = [await server.socket(`${path}?_pk=a`), await server.socket(`${path}?_pk=a`)];
    const other = await server.socket(`${path}?_pk=b`);
    one.text("to id");
    assert.deepEqual(await one.fence(), []);
    assert.deepEqual(await two.fence(), []);
    assert.deepEqual(await other.fence(), ["id"]);
    one.text("to connection");
    assert.deepEqual(await one.fence(), []);
    assert.deepEqual(await two.fence(), ["connection"]);
    leave({ one, two, other });
  });

  it("in the order in which a handler sends", async () => {
    const sockets = await three();
    const you = [];
    const others = [];
    for (let n = 1; n <= 5; n++) {
      you.push(`all ${n}`, `you ${n}`);
      others.push(`all ${n}`, `others ${n}`);
    }
    assert.deepEqual(await heard(sockets, sockets.b, "order"), { a: others, b: you, c: others });
    leave(sockets);
  });

  it("in the same order for everybody, whoever speaks", async () => {
    const path = `/parties/main/${server.room()}`;
    const sockets = await Promise.all(Array.from({ length: 8 }, () => server.socket(path)));
    for (const [n, socket] of sockets.entries()) for (let m = 0; m < 25; m++) socket.text(`say ${n}.${m}`);
    const orders = await Promise.all(
      sockets.map(async (socket) => {
        const order = [];
        while (order.length < 200) order.push(await socket.message());
        return order;
      }),
    );
    for (const order of orders) assert.deepEqual(order, orders[0]);
    for (let n = 0; n < 8; n++) {
      assert.deepEqual(
        orders[0].filter((text) => text.startsWith(`${n}.`)),
        Array.from({ length: 25 }, (_, m) => `${n}.${m}`),
      );
    }
    for (const socket of sockets) socket.destroy();
  });

  it("much in one handler", async () => {
    const sockets = await three();
    const { a, b, c } = await heard(sockets, sockets.a, "count 5000");
    const all = Array.from({ length: 5000 }, (_, n) => String(n + 1));
    assert.deepEqual([a, b, c], [all, all, all]);
    leave(sockets);
  });

  it("what a handler sent before it raised has been sent", async () => {
    const sockets = await three();
    assert.deepEqual(await heard(sockets, sockets.a, "bracket"), { a: ["before", "between"], b: ["between"], c: ["between"] });
    leave(sockets);
  });

  it("reaches those who come between two broadcasts from the second on", async () => {
    const path = `/parties/main/${server.room()}`;
    const first = await server.socket(path);
    first.text("say one");
    assert.deepEqual(await first.fence(), ["one"]);
    const second = await server.socket(path);
    first.text("say two");
    assert.deepEqual(await first.fence(), ["two"]);
    assert.deepEqual(await second.fence(), ["two"]);
    leave({ first, second });
  });

  it("goes on for the others when one has broken", async () => {
    const path = `/parties/main/${server.room()}`;
    const sockets = await Promise.all(Array.from({ length: 10 }, () => server.socket(path)));
    for (const [n, socket] of sockets.entries()) if (n % 3 === 1) n % 2 ? socket.connection.reset() : socket.drop();
    sockets[0].text("count 100");
    for (const [n, socket] of sockets.entries()) {
      if (n % 3 === 1) continue;
      for (let m = 1; m <= 100; m++) assert.equal(await socket.message(), String(m));
    }
    for (const socket of sockets) socket.destroy();
  });
});
