// Random numbers that are the same for the same seed.

export class Random {
  #state;

  constructor(seed) {
    this.#state = seed >>> 0;
  }

  // In [0, 1): mulberry32.
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  // An integer of [low, high].
  within(low, high) {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  // A name out of { name: weight }.
  pick(weights) {
    let left = this.next() * Object.values(weights).reduce((a, b) => a + b);
    return Object.keys(weights).find((name) => (left -= weights[name]) < 0);
  }

  // One of its own, whose numbers do not depend on how many are taken here afterwards.
  fork() {
    return new Random(Math.floor(this.next() * 4294967296));
  }
}
