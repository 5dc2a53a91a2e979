// What clients ordered and what they were told: the books that a room's stored entries are held against.

import assert from "node:assert/strict";

import { checkState } from "./party.mjs";

export class RoomBooks {
  ordered = new Set(); // ids of all that was sent
  answered = new Set(); // ids that someone was told to be there
  places = new Map(); // number of an entry => its id, as someone was told
  orders = []; // arrays of ids that were ordered one after the other
  known = []; // the entries that were there at the last check

  constructor(name) {
    this.name = name;
  }

  // A line of the party's: "number id".
  told(line) {
    const [, number, id] = /^(\d+) (\S+)$/.exec(line) ?? assert.fail(`${this.name}: told "${line}"`);
    const n = Number(number);
    assert.equal(this.places.get(n) ?? id, id, `${this.name}: entry ${n} is two`);
    this.places.set(n, id);
    this.answered.add(id);
  }

  // Throws unless the stored keys are what the books say.
  check(keys) {
    const entries = checkState(this.name, keys);
    const ids = new Map();
    entries.forEach(({ id }, i) => {
      assert.ok(!ids.has(id), `${this.name}: ${id} is there twice, as ${ids.get(id)} and ${i + 1}`);
      assert.ok(this.ordered.has(id), `${this.name}: ${id} was never ordered`);
      ids.set(id, i + 1);
    });
    const lost = [...this.answered].filter((id) => !ids.has(id));
    assert.deepEqual(lost, [], `${this.name}: acknowledged or seen, and lost; there are ${entries.length} entries`);
    for (const [n, id] of this.places) assert.equal(entries[n - 1].id, id, `${this.name}: entry ${n}`);
    this.known.forEach(({ id }, i) => assert.equal(entries[i]?.id, id, `${this.name}: entry ${i + 1} of the last check`));
    for (const order of this.orders) {
      const there = order.map((id) => ids.get(id)).filter((n) => n !== undefined);
      assert.ok(there.every((n, i) => i === 0 || n > there[i - 1]), `${this.name}: one client's entries out of order`);
    }
    this.known = entries;
  }
}
