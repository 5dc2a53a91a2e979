// The party of the crash test, and what a room of it must have stored. A turn appends one entry: the room's
// counter, the entry, an extra key and a checksum over all entries so far, so that a turn of which a part is
// missing, or a turn that is missing before another one, shows.

import assert from "node:assert/strict";

import { config, lua } from "../project.mjs";

// What a turn does besides appending; the numbers are their weights.
export const KINDS = { put: 6, broadcast: 4, transaction: 4, rollback: 3, delete: 3, wait: 2, raise: 2, large: 1 };

const PARTY = lua`
local P = {}
local storage = party.storage

local function name(kind, n) return string.format("%s/%08d", kind, n) end

local function add_up(sum, text)
  for i = 1, #text do sum = ((sum ~ text:byte(i)) * 16777619) & 0xffffffff end
  return sum
end

local function append(id, kind, pad)
  local n = (storage:get("n") or 0) + 1
  local sum = add_up(storage:get("sum") or 0, n .. "|" .. id .. "|" .. kind)
  storage:put("n", n)
  storage:put(name("e", n), { id = id, kind = kind, pad = string.rep("x", pad) })
  if kind == "delete" then
    storage:delete({ name("x", n - 1), name("x", n - 2) })
  else
    storage:put { [name("x", n)] = n }
  end
  storage:put("sum", sum)
  return n
end

local function junk()
  storage:put("junk", "taken back")
  storage:put("n", -1)
  storage:delete("sum")
end

-- Returns the line that says which entry is whose.
function P:turn(order)
  local id, kind, pad = order.id, order.kind, order.pad
  local n
  if kind == "transaction" then
    storage:transaction(function() n = append(id, kind, pad) end)
  elseif kind == "rollback" then
    storage:transaction(function(txn) junk() txn:rollback() end)
    pcall(storage.transaction, storage, function() junk() storage:deleteAll() error("taken back too") end)
    n = append(id, kind, pad)
  elseif kind == "wait" then
    local first = append(id .. "a", kind, pad)
    party.broadcast(first .. " " .. id .. "a")
    sleep(1)
    id = id .. "b"
    n = append(id, kind, pad)
  else
    n = append(id, kind, pad)
  end
  if kind == "broadcast" then party.broadcast(n .. " " .. id) end
  if kind == "raise" then error("as ordered") end
  return n .. " " .. id
end

function P:onRequest(request)
  if request.method == "POST" then return self:turn(request:json()) end
  local keys, last = {}
  for key, value in storage:list({ startAfter = request.query.from, limit = 2000 }) do
    if type(value) == "table" then
      keys[key] = { id = value.id, kind = value.kind, pad = #value.pad, whole = value.pad == string.rep("x", #value.pad) }
    else
      keys[key] = value
    end
    last = key
  end
  return { keys = json.object(keys), last = last }
end

function P:onMessage(message, connection)
  connection:send(self:turn(json.decode(message)))
end

return P
`;

export const FILES = { "parties/main.lua": PARTY, "festa.lua": config({ limits: { handlerTime: 30000 } }) };

function key(kind, n) {
  return `${kind}/${String(n).padStart(8, "0")}`;
}

// What a room has stored must be what its first n turns store, for some n: returns these turns' entries.
export function checkState(room, keys) {
  const entries = [];
  const expected = {};
  let sum = 0;
  for (let n = 1; keys[key("e", n)]; n++) {
    const entry = keys[key("e", n)];
    assert.ok(entry.whole, `${room}: entry ${n} has another value than was put`);
    for (const byte of Buffer.from(`${n}|${entry.id}|${entry.kind}`)) sum = Math.imul(sum ^ byte, 16777619) >>> 0;
    entries.push(entry);
    expected[key("e", n)] = entry;
    if (entry.kind === "delete") {
      delete expected[key("x", n - 1)];
      delete expected[key("x", n - 2)];
    } else {
      expected[key("x", n)] = n;
    }
  }
  if (entries.length) Object.assign(expected, { n: entries.length, sum });
  const differing = [...new Set([...Object.keys(keys), ...Object.keys(expected)])].filter(
    (name) => JSON.stringify(keys[name]) !== JSON.stringify(expected[name]),
  );
  assert.deepEqual(
    differing.map((name) => `${name}: ${JSON.stringify(keys[name])}, not ${JSON.stringify(expected[name])}`),
    [],
    `${room}: a part of a turn is missing, or an earlier turn (${entries.length} entries)`,
  );
  return entries;
}
