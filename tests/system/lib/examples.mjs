// The repository's own parties, which are the examples, and clients that talk JSON with them.

import assert from "node:assert/strict";

import { fetch } from "undici";
import WebSocket from "ws";

import { REPOSITORY, serverForSuite } from "./server.mjs";
import { Changes } from "./wait.mjs";

export function exampleServer(options) {
  return serverForSuite(undefined, { directory: REPOSITORY, ...options });
}

// A client of a room: what comes in is waited for one after the other, or by what it is.
export class Client {
  got = [];
  closed = undefined; // { code, reason }

  #changes = new Changes();

  static async join(t, server, path, query = {}) {
    const client = new Client();
    const search = new URLSearchParams(query);
    const socket = new WebSocket(`ws://${server.host}/parties/${path}?${search}`);
    client.socket = socket;
    t.after(() => socket.terminate());
    socket.on("message", (data, binary) => {
      client.got.push(binary ? data : JSON.parse(data));
      client.#changes.changed();
    });
    socket.on("close", (code, reason) => {
      client.closed = { code, reason: reason.toString() };
      client.#changes.changed();
    });
    socket.on("error", (error) => {
      client.error = error;
      client.#changes.changed();
    });
    socket.on("open", () => {
      client.open = true;
      client.#changes.changed();
    });
    await client.#changes.until(() => {
      if (client.error) throw client.error;
      return client.open;
    }, `a socket to ${path}`);
    return client;
  }

  send(value) {
    this.socket.send(typeof value === "string" || Buffer.isBuffer(value) ? value : JSON.stringify(value));
  }

  // The next message, whatever it is.
  next(what = "a message") {
    return this.#changes.until(() => this.got.shift(), what, { describe: () => JSON.stringify(this.closed ?? "") });
  }

  // The next message that fits; those before it are dropped.
  async find(fits, what = "a message that fits") {
    for (;;) {
      const message = await this.next(what);
      if (fits(message)) return message;
    }
  }

  end() {
    return this.#changes.until(() => this.closed, "the close");
  }

  async leave() {
    this.socket.close();
    return this.end();
  }
}

// What all parties do with what they don't understand: they say so, and go on.
export async function refusesNonsense(client, more = []) {
  for (const nonsense of ["", "{", "null", "5", '"text"', "[1,2]", "{}", '{"type":7}', "x".repeat(1000), Buffer.from([0, 255]), ...more]) {
    client.send(nonsense);
    const answer = await client.find((message) => message.error ?? (message.type === "error" && message.message), `the answer to ${nonsense}`);
    assert.equal(typeof (answer.error ?? answer.message), "string");
  }
}

export async function post(server, path, body, headers = {}) {
  const response = await fetch(`${server.url}/parties/${path}`, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body), headers });
  return { status: response.status, text: await response.text() };
}
