// Connections as a party sees them: their coming and going, tags, state, ids, closing.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { config, lua } from "./lib/project.mjs";
import { serverForSuite } from "./lib/server.mjs";

// Does what the message says: JSON { do = name, ... }. Answers the sender with JSON.
const WORKER = lua`
local Worker = {}
local work = {}

local function ids(tag)
  local list = {}
  for connection in party.getConnections(tag) do list[#list + 1] = connection.id end
  return json.array(list)
end

function work.list(_, order) return { ids = ids(order.tag), count = party.connectionCount(order.tag) } end
function work.listcolon(_, order)
  local list = {}
  for connection in party:getConnections(order.tag) do list[#list + 1] = connection.id end
  return { ids = json.array(list), count = party:connectionCount(order.tag) }
end
function work.get(_, order)
  local connection = party.getConnection(order.id)
  local again = party:getConnection(order.id)
  return { id = connection and connection.id or json.null, same = connection == again, tags = connection and connection.tags or json.null }
end
function work.tags(connection, order)
  if order.set then connection:setTags(order.set) end
  return { tags = connection.tags }
end
function work.badtags(connection)
  local bad = {
    many = {}, empty = { "" }, long = { ("t"):rep(257) }, number = { 5 }, nested = { {} }, text = "tag",
  }
  for n = 1, 10 do bad.many[n] = "tag" .. n end
  local raised = {}
  for name, tags in pairs(bad) do raised[name] = not pcall(connection.setTags, connection, tags) end
  return { raised = raised, tags = connection.tags }
end
function work.state(connection, order)
  if order.set ~= nil then connection.state = order.set end
  if order.deep then connection.state.deep = order.deep end
  return { state = connection.state == nil and json.null or connection.state }
end
function work.statefunction(connection)
  connection.state = function() return "called" end
  return { answer = connection.state() }
end
function work.stateof(_, order)
  return { state = party.getConnection(order.id).state or json.null }
end
function work.readonly(connection)
  local refused = {}
  for _, name in ipairs({ "id", "uri", "tags", "isOpen", "kind", "remoteAddress", "bufferedAmount", "send", "close", "other" }) do
    refused[name] = not pcall(function() connection[name] = "x" end)
  end
  return refused
end
function work.closeothers(connection)
  local n = 0
  for other in party.getConnections() do
    n = n + 1
    if other ~= connection then other:close(4000, "swept") end
  end
  return { saw = n, left = party.connectionCount(), ids = ids() }
end
function work.closecodes(connection, order)
  local raised = {}
  for _, code in ipairs(order.codes) do
    if not pcall(connection.close, connection, code) then raised[#raised + 1] = code end
  end
  return { raised = json.array(raised), isOpen = connection.isOpen }
end
function work.closereasons(connection)
  return {
    float = not pcall(connection.close, connection, 4000.5),
    table = not pcall(connection.close, connection, 4000, {}),
    utf8 = not pcall(connection.close, connection, 4000, "\xff"),
    isOpen = connection.isOpen,
  }
end
function work.closeme(connection, order)
  connection:close(order.code, order.reason)
  return nil
end
function work.closeid(_, order)
  party.getConnection(order.id):close(order.code, order.reason)
  return { done = true }
end
function work.keep(connection) kept = connection return { kept = true } end
function work.usekept()
  local sent, why = kept:send("anyone?")
  local closed = pcall(kept.close, kept)
  return { sent = tostring(sent), why = tostring(why), closed = closed, id = kept.id, isOpen = kept.isOpen }
end
function work.raise(_, order) error(order.text) end
function work.raiseclose(_, order) error({ close = order.code, reason = order.reason }) end

function Worker:getConnectionTags(connection, context)
  local tags = {}
  for _, tag in ipairs(context.request:queryAll("tag")) do tags[#tags + 1] = tag end
  return tags
end

function Worker:onConnect(connection, context)
  local query = context.request.query
  if query.quiet == nil then connection:send({ welcome = connection.id }) end
  if query.raise then error(query.raise) end
  if query.close then error({ close = tonumber(query.close), reason = query.reason }) end
  if query.hangup then connection:close(tonumber(query.hangup), query.reason) end
  if query.tell then party.broadcast({ tell = connection.id, count = party.connectionCount() }) end
end

function Worker:onMessage(message, connection)
  local order = json.decode(message)
  local answer = work[order["do"]](connection, order)
  if answer then connection:send(answer) end
end

function Worker:onClose(connection, code, reason, clean)
  local sent, why = connection:send("too late")
  party.broadcast({
    closed = connection.id, code = code, reason = reason or json.null, clean = clean, state = connection.state == nil and json.null or connection.state,
    tags = connection.tags, isOpen = connection.isOpen, sent = tostring(sent), why = tostring(why),
    listed = party.getConnection(connection.id) ~= nil, ids = ids(),
  })
end

return Worker
`;

const TAGS = lua`
local Tags = {}
local kinds = {
  many = function() local tags = {} for n = 1, 10 do tags[n] = "tag" .. n end return tags end,
  empty = function() return { "" } end,
  long = function() return { ("t"):rep(257) } end,
  number = function() return { 5 } end,
  text = function() return "tag" end,
  raise = function() error("no tags") end,
}
function Tags:getConnectionTags(connection, context) return kinds[context.request.query.kind]() end
function Tags:onConnect(connection) connection:send("in") end
function Tags:onClose(connection) party.broadcast("onClose " .. connection.id) end
return Tags
`;

const options = (duplicateId) => lua`
local Party = {}
Party.options = { duplicateId = "${duplicateId}" }
function Party:onConnect(connection)
  connection.state = party.connectionCount()
  connection:send("welcome")
  party.broadcast("connect " .. connection.id)
end
function Party:onMessage(message, connection)
  if message == "who" then
    local list = {}
    for c in party.getConnections() do list[#list + 1] = c.id .. ":" .. c.state end
    table.sort(list)
    local newest = party.getConnection("same")
    connection:send(table.concat(list, " ") .. " newest " .. tostring(newest and newest.state))
  else
    party.broadcast(message)
  end
end
function Party:onClose(connection, code)
  party.broadcast("close " .. connection.id .. " " .. code)
end
return Party
`;

const FILES = {
  "parties/main.lua": WORKER,
  "parties/tags.lua": TAGS,
  "parties/default.lua": options("allow").replace(/^Party\.options.*$/m, ""),
  "parties/allow.lua": options("allow"),
  "parties/replace.lua": options("replace"),
  "parties/reject.lua": options("reject"),
  "festa.lua": config({ limits: { closeTimeout: 60000 } }), // what is closed is answered, at a busy machine's pace
};

describe("connections", () => {
  const server = serverForSuite(FILES);

  // A socket that has been welcomed, with a function to have something done.
  async function join(path, query = "") {
    const socket = await server.socket(`${path}${query}`);
    socket.id = (await socket.json()).welcome;
    socket.ask = async (what, order = {}) => {
      socket.text(JSON.stringify({ do: what, ...order }));
      return socket.json(what);
    };
    return socket;
  }

  const newRoom = () => `/parties/main/${server.room()}`;
  // The next message that says who was closed.
  async function closedOf(witness) {
    for (;;) {
      const message = await witness.json();
      if (message.closed) return message;
    }
  }

  describe("coming in", () => {
    it("what onConnect sends arrives first", async () => {
      const path = newRoom();
      const talker = await join(path);
      const newcomers = await Promise.all(
        Array.from({ length: 10 }, async () => {
          const socket = await server.socket(`${path}?tell=1`);
          const [first, second] = [await socket.json(), await socket.json()];
          assert.deepEqual(Object.keys(first), ["welcome"]);
          assert.equal(second.tell !== undefined, true);
          return first.welcome;
        }),
      );
      assert.equal(new Set(newcomers).size, 10);
      talker.destroy();
    });

    it("a newcomer is in the list in onConnect, and gets the broadcast", async () => {
      const path = newRoom();
      const socket = await server.socket(`${path}?tell=1&_pk=new`);
      assert.deepEqual(await socket.json(), { welcome: "new" });
      assert.deepEqual(await socket.json(), { tell: "new", count: 1 });
      socket.destroy();
    });

    it("raising in onConnect closes with 1011, and the room goes on as if it had not come", async () => {
      const path = newRoom();
      const witness = await join(path, "?_pk=witness");
      const from = server.lines.length;
      const socket = await server.socket(`${path}?_pk=failing&quiet=1&raise=the+secret`);
      const { code, reason } = await socket.closing();
      assert.equal(code, 1011);
      assert.equal(reason, "Internal error");
      socket.close(1011);
      await socket.gone();
      const line = await server.waitForLog((l) => l.level === "error" && l.handler === "onConnect", "the error", { from });
      const room = path.split("/").pop();
      assert.deepEqual([line.party, line.room], ["main", room]);
      for (const msg of ["socket opened", "socket closed"])
        await server.waitForLog((l) => l.msg === msg && l.party === "main" && l.room === room && l.connection === "failing", msg, { from });
      assert.ok(JSON.stringify(line).includes("the secret"));
      assert.match(line.traceback, /main\.lua:\d+/);
      assert.deepEqual(await witness.ask("list"), { ids: ["witness"], count: 1 }, "and no onClose");
      assert.deepEqual(await witness.fence(), []);
      witness.destroy();
    });

    it("error({ close = … }) in onConnect closes with it", async () => {
      const path = newRoom();
      const witness = await join(path, "?_pk=witness");
      const socket = await server.socket(`${path}?quiet=1&close=4001&reason=room+full`);
      assert.deepEqual(await socket.closing(), { code: 4001, reason: "room full" });
      socket.close(4001);
      await socket.gone();
      assert.deepEqual(await witness.ask("list"), { ids: ["witness"], count: 1 });
      witness.destroy();
    });

    it("closing in onConnect sends what was sent before", async () => {
      const path = newRoom();
      const witness = await join(path);
      const socket = await server.socket(`${path}?hangup=4002&reason=bye&_pk=brief`);
      assert.deepEqual(await socket.json(), { welcome: "brief" });
      assert.deepEqual(await socket.closing(), { code: 4002, reason: "bye" });
      socket.close(4002);
      await socket.gone();
      const closed = await closedOf(witness);
      assert.deepEqual([closed.closed, closed.code, closed.clean], ["brief", 4002, true]);
      witness.destroy();
    });
  });

  describe("going", () => {
    it("onClose: out of the list already, everything else still there, sending says closed", async () => {
      const path = newRoom();
      const witness = await join(path, "?_pk=witness");
      const leaver = await join(path, "?_pk=leaver&tag=red");
      await leaver.ask("state", { set: { name: "Lea" } });
      await leaver.leave(4321, "so long");
      assert.deepEqual(await closedOf(witness), {
        closed: "leaver",
        code: 4321,
        reason: "so long",
        clean: true,
        state: { name: "Lea" },
        tags: ["leaver", "red"],
        isOpen: false,
        sent: "nil",
        why: "closed",
        listed: false,
        ids: ["witness"],
      });
      assert.deepEqual(await witness.fence(), []);
      witness.destroy();
    });

    it("a connection that a script kept is closed, and nothing worse", async () => {
      const path = newRoom();
      const witness = await join(path, "?_pk=witness");
      const leaver = await join(path, "?_pk=leaver");
      await leaver.ask("keep");
      leaver.drop();
      assert.equal((await closedOf(witness)).code, 1006);
      const kept = await witness.ask("usekept");
      assert.deepEqual([kept.sent, kept.why], ["nil", "closed"]);
      witness.destroy();
    });

    it("closing another from a handler", async () => {
      const path = newRoom();
      const witness = await join(path, "?_pk=witness");
      const victim = await join(path, "?_pk=victim");
      witness.text(JSON.stringify({ do: "closeid", id: "victim", code: 4009, reason: "out" }));
      assert.deepEqual(await victim.closing(), { code: 4009, reason: "out" });
      victim.close(4009);
      await victim.gone();
      const messages = [await witness.json(), await witness.json()];
      assert.ok(messages.some((m) => m.done));
      const closed = messages.find((m) => m.closed);
      assert.deepEqual([closed.closed, closed.code, closed.clean], ["victim", 4009, true]);
      witness.destroy();
    });

    it("closing while iterating is safe", async () => {
      const path = newRoom();
      const witness = await join(path, "?_pk=witness");
      const others = await Promise.all(Array.from({ length: 20 }, () => join(path)));
      const swept = await witness.ask("closeothers");
      assert.deepEqual([swept.saw, swept.left, swept.ids], [21, 1, ["witness"]]);
      for (const other of others) {
        assert.deepEqual(await other.closing(), { code: 4000, reason: "swept" });
        other.close(4000);
      }
      for (let n = 0; n < 20; n++) assert.equal((await closedOf(witness)).code, 4000);
      assert.deepEqual(await witness.fence(), []);
      witness.destroy();
    });

    it("close codes that raise", async () => {
      const socket = await join(newRoom());
      const codes = [0, -1, 1, 999, 1002, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535, 65536, 70000];
      assert.deepEqual(await socket.ask("closecodes", { codes }), { raised: codes, isOpen: true });
      assert.deepEqual(await socket.ask("closereasons"), { float: true, table: true, utf8: true, isOpen: true });
      socket.destroy();
    });

    it("close codes that do not", async () => {
      for (const code of [1000, 1001, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]) {
        const socket = await join(newRoom());
        socket.text(JSON.stringify({ do: "closeme", code, reason: `code ${code}` }));
        assert.deepEqual(await socket.closing(), { code, reason: `code ${code}` });
        socket.destroy();
      }
    });

    it("reasons are cut at 123 bytes, on a character's edge", async () => {
      for (const [reason, cut] of [
        ["x".repeat(123), "x".repeat(123)],
        ["x".repeat(124), "x".repeat(123)],
        ["ü".repeat(100), "ü".repeat(61)],
        [`x${"ü".repeat(100)}`, `x${"ü".repeat(61)}`],
        ["🎉".repeat(50), "🎉".repeat(30)],
        ["x".repeat(100000), "x".repeat(123)],
      ]) {
        const socket = await join(newRoom());
        socket.text(JSON.stringify({ do: "closeme", code: 4000, reason }));
        assert.deepEqual(await socket.closing(), { code: 4000, reason: cut });
        socket.destroy();
      }
    });
  });

  describe("errors in onMessage", () => {
    it("leave the socket open, say nothing to the client, and are logged", async () => {
      const path = newRoom();
      const socket = await join(path, "?_pk=me");
      const from = server.lines.length;
      socket.text(JSON.stringify({ do: "raise", text: "the secret" }));
      socket.text("no json");
      socket.text(JSON.stringify({ do: "unknown" }));
      assert.deepEqual(await socket.fence(), []);
      assert.deepEqual(await socket.ask("list"), { ids: ["me"], count: 1 });
      const line = await server.waitForLog((l) => JSON.stringify(l).includes("the secret"), "the error", { from });
      assert.deepEqual([line.level, line.party, line.room, line.handler], ["error", "main", path.split("/").pop(), "onMessage"]);
      assert.match(line.traceback, /main\.lua:\d+/);
      assert.equal((await server.errorsSince(from)).length, 3);
      socket.destroy();
    });

    it("error({ close = … }) closes with it", async () => {
      const path = newRoom();
      const witness = await join(path);
      const socket = await join(path, "?_pk=bad");
      socket.text(JSON.stringify({ do: "raiseclose", code: 4004, reason: "enough" }));
      assert.deepEqual(await socket.closing(), { code: 4004, reason: "enough" });
      socket.close(4004);
      await socket.gone();
      const closed = await closedOf(witness);
      assert.deepEqual([closed.closed, closed.code, closed.clean], ["bad", 4004, true]);
      witness.destroy();
    });
  });

  describe("finding them", () => {
    it("all, in the order of their coming, and their number", async () => {
      const path = newRoom();
      const sockets = [];
      for (const id of ["a", "b", "c"]) sockets.push(await join(path, `?_pk=${id}`));
      for (const what of ["list", "listcolon"]) {
        const { ids, count } = await sockets[0].ask(what);
        assert.deepEqual([ids.sort(), count], [["a", "b", "c"], 3]);
      }
      await sockets[1].leave();
      await closedOf(sockets[0]);
      assert.deepEqual((await sockets[0].ask("list")).ids.sort(), ["a", "c"]);
    });

    it("by id", async () => {
      const path = newRoom();
      const socket = await join(path, "?_pk=me&tag=x");
      assert.deepEqual(await socket.ask("get", { id: "me" }), { id: "me", same: true, tags: ["me", "x"] });
      assert.deepEqual(await socket.ask("get", { id: "nobody" }), { id: null, same: true, tags: null });
      const elsewhere = await join(newRoom(), "?_pk=elsewhere");
      assert.equal((await socket.ask("get", { id: "elsewhere" })).id, null, "of another room");
      socket.destroy();
      elsewhere.destroy();
    });

    it("by tag, the id being the first", async () => {
      const path = newRoom();
      const a = await join(path, "?_pk=a&tag=red&tag=round");
      const b = await join(path, "?_pk=b&tag=red");
      const c = await join(path, "?_pk=c");
      const list = async (tag) => {
        const { ids, count } = await a.ask("list", { tag });
        assert.equal(ids.length, count);
        return ids.sort();
      };
      assert.deepEqual(await a.ask("tags"), { tags: ["a", "red", "round"] });
      assert.deepEqual(await c.ask("tags"), { tags: ["c"] });
      assert.deepEqual(await list("red"), ["a", "b"]);
      assert.deepEqual(await list("round"), ["a"]);
      assert.deepEqual(await list("b"), ["b"]);
      assert.deepEqual(await list("Red"), []);
      assert.deepEqual(await list("none"), []);
      assert.deepEqual(await b.ask("tags", { set: ["blue", "zwei ü"] }), { tags: ["b", "blue", "zwei ü"] });
      assert.deepEqual(await list("red"), ["a"]);
      assert.deepEqual(await list("zwei ü"), ["b"]);
      assert.deepEqual(await list("b"), ["b"]);
      assert.deepEqual(await b.ask("tags", { set: [] }), { tags: ["b"] });
      assert.deepEqual(await list("blue"), []);
      for (const socket of [a, b, c]) socket.destroy();
    });

    it("tags: nine of 1 to 256 bytes", async () => {
      const path = newRoom();
      const nine = Array.from({ length: 9 }, (_, n) => String(n).padEnd(256, "t"));
      const socket = await join(path, "?_pk=me");
      assert.deepEqual(await socket.ask("tags", { set: nine }), { tags: ["me", ...nine] });
      assert.deepEqual(await socket.ask("badtags"), {
        raised: { many: true, empty: true, long: true, number: true, nested: true, text: true },
        tags: ["me", ...nine],
      });
      socket.destroy();
    });

    it("getConnectionTags that returns what may not be lets nobody in", async () => {
      for (const kind of ["many", "empty", "long", "number", "text", "raise"]) {
        const path = `/parties/tags/${server.room()}?kind=${kind}`;
        const from = server.lines.length;
        const { response, socket } = await server.upgrade(path);
        if (socket) {
          assert.equal((await socket.closing()).code, 1011, kind);
          socket.destroy();
        } else {
          assert.equal(response.status, 500, kind);
        }
        const line = await server.waitForLog((l) => l.level === "error" && l.party === "tags", kind, { from });
        assert.equal(line.handler, "getConnectionTags");
      }
    });
  });

  describe("state and fields", () => {
    it("state: any value, nil at first, one for each connection", async () => {
      const path = newRoom();
      const a = await join(path, "?_pk=a");
      const b = await join(path, "?_pk=b");
      assert.deepEqual(await a.ask("state"), { state: null });
      assert.deepEqual(await a.ask("state", { set: { n: 1 } }), { state: { n: 1 } });
      assert.deepEqual(await a.ask("state", { deep: [1, 2] }), { state: { n: 1, deep: [1, 2] } });
      assert.deepEqual(await a.ask("state"), { state: { n: 1, deep: [1, 2] } });
      assert.deepEqual(await b.ask("state"), { state: null });
      assert.deepEqual(await b.ask("stateof", { id: "a" }), { state: { n: 1, deep: [1, 2] } });
      assert.deepEqual(await a.ask("state", { set: "text" }), { state: "text" });
      assert.deepEqual(await a.ask("statefunction"), { answer: "called" });
      a.destroy();
      b.destroy();
    });

    it("all other fields are read-only", async () => {
      const socket = await join(newRoom());
      const refused = await socket.ask("readonly");
      assert.deepEqual(
        Object.entries(refused).filter(([, raised]) => !raised),
        [],
      );
      socket.destroy();
    });
  });
});

describe("connections that share an id", () => {
  const server = serverForSuite(FILES);

  async function join(path, id = "same") {
    const socket = await server.socket(`${path}?_pk=${id}`);
    assert.equal(await socket.message(), "welcome");
    return socket;
  }

  for (const party of ["default", "allow"]) {
    it(`duplicateId ${party}: all stay, all get broadcasts, the newest is found`, async () => {
      const path = `/parties/${party}/${server.room()}`;
      const first = await join(path);
      const second = await join(path);
      const third = await join(path);
      for (const [socket, n] of [
        [first, 3],
        [second, 2],
        [third, 1],
      ]) {
        for (let i = 0; i < n; i++) assert.equal(await socket.message(), "connect same");
      }
      first.text("all");
      for (const socket of [first, second, third]) assert.equal(await socket.message(), "all");
      first.text("who");
      assert.equal(await first.message(), "same:1 same:2 same:3 newest 3");
      await third.leave(4000);
      for (const socket of [first, second]) assert.equal(await socket.message(), "close same 4000");
      first.text("who");
      assert.equal(await first.message(), "same:1 same:2 newest 2");
      await first.leave(4000);
      assert.equal(await second.message(), "close same 4000");
      second.text("still");
      assert.equal(await second.message(), "still");
      second.destroy();
    });
  }

  it("duplicateId replace: the older is closed with 4409, and heard of before the newcomer", async () => {
    const path = `/parties/replace/${server.room()}`;
    const witness = await join(path, "witness");
    assert.equal(await witness.message(), "connect witness");
    const first = await join(path);
    assert.equal(await first.message(), "connect same");
    const second = await join(path);
    assert.equal((await first.closing()).code, 4409);
    first.close(4409);
    await first.gone();
    assert.deepEqual(
      [await witness.message(), await witness.message(), await witness.message()],
      ["connect same", "close same 4409", "connect same"],
    );
    assert.equal(await second.message(), "connect same");
    second.text("who");
    assert.equal(await second.message(), "same:2 witness:1 newest 2");
    assert.deepEqual(await witness.fence(), [], "one onClose");
    second.destroy();
    witness.destroy();
  });

  it("duplicateId replace: many at once leave one", async () => {
    const path = `/parties/replace/${server.room()}`;
    const sockets = await Promise.all(Array.from({ length: 10 }, () => server.socket(`${path}?_pk=same`)));
    const witness = await join(path, "witness");
    witness.text("who");
    let said;
    do said = await witness.message();
    while (!said.includes("newest"));
    assert.equal(said.match(/same:/g).length, 1, said);
    for (const socket of [...sockets, witness]) socket.destroy();
  });

  it("duplicateId reject: the newcomer is closed with 4409, and the room hears nothing", async () => {
    const path = `/parties/reject/${server.room()}`;
    const first = await join(path);
    assert.equal(await first.message(), "connect same");
    const second = await server.socket(`${path}?_pk=same`);
    assert.equal((await second.closing()).code, 4409);
    second.close(4409);
    await second.gone();
    assert.deepEqual(await first.fence(), []);
    first.text("who");
    assert.equal(await first.message(), "same:1 newest 1");
    const other = await join(path, "other");
    assert.equal(await first.message(), "connect other");
    await first.leave();
    const again = await join(path);
    again.destroy();
    other.destroy();
  });
});

describe("festa dev", () => {
  const party = lua`
    local P = {}
    function P:onConnect(connection, context) error(context.request.query.text) end
    return P
  `;
  const server = serverForSuite({ "parties/main.lua": party }, { mode: "dev" });

  it("closes with what onConnect has raised", async () => {
    for (const [text, expected] of [
      ["oops", "parties/main.lua:2: oops"],
      ["%C3%A9".repeat(100), `parties/main.lua:2: ${"é".repeat(51)}`], // 123 bytes at most, and no half character
      ["%FF", ""],
    ]) {
      const socket = await server.socket(`/party/r?text=${text}`);
      const { code, reason } = await socket.closing();
      assert.deepEqual([code, reason], [1011, expected]);
      socket.close(1011);
      await socket.gone();
    }
  });
});
