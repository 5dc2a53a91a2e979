// Waiting for events. Nothing here waits for time to pass: a deadline only ends a wait that
// would otherwise never end, so it is far longer than anything needs on a busy machine.

export const DEADLINE = Number(process.env.FESTA_TEST_DEADLINE ?? 30_000);

// Rejects when the promise has not settled in time; what says what was awaited.
export function within(promise, what, ms = DEADLINE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing came within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Something whose state changes: changed() tells those who wait to look again.
export class Changes {
  #waiting = new Set();

  changed() {
    for (const look of [...this.#waiting]) look();
  }

  // Resolves with the first value that check() returns other than undefined. check is called
  // at once and after each change; when it throws, the wait rejects. describe() is added to
  // the message of a wait that took too long.
  until(check, what, { ms = DEADLINE, describe = () => "" } = {}) {
    return new Promise((resolve, reject) => {
      let timer;
      const settle = (end, value) => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        end(value);
      };
      const look = () => {
        let value;
        try {
          value = check();
        } catch (error) {
          return settle(reject, error);
        }
        if (value !== undefined) settle(resolve, value);
      };
      timer = setTimeout(
        () => settle(reject, new Error(`${what}: nothing came within ${ms} ms ${describe()}`)),
        ms,
      );
      this.#waiting.add(look);
      look();
    });
  }
}

// Asks again until the answer is not undefined: for what can only be found out by trying, such
// as whether a port is closed. The pause only keeps the trying from being a busy loop.
export async function poll(ask, what, { ms = DEADLINE, pause = 20 } = {}) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await ask();
    if (value !== undefined) return value;
    if (Date.now() > end) throw new Error(`${what}: not within ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}
