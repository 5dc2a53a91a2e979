// Answers that are read while they are sent: the head as soon as it is there, then the body as far as it came. The
// framing is checked on the way: chunks (RFC 9112 §7.1) in HTTP/1.1, until the connection's end in HTTP/1.0.

import assert from "node:assert/strict";

import { requestBytes } from "./raw.mjs";

export class Stream {
  head = ""; // as text, once it is there
  done = false; // the body is whole

  #old;
  #pieces = []; // of the body so far
  #pending = Buffer.alloc(0);

  // Sends the request on the connection, or on one of its own, and waits for the head.
  static async open(server, path, { connection, version = "HTTP/1.1", ...request } = {}) {
    const stream = new Stream();
    stream.connection = connection ?? (await server.connect());
    stream.#old = version === "HTTP/1.0";
    if (!request.sent) stream.connection.write(requestBytes({ host: server.host, path, version, ...request }));
    stream.head = await stream.connection.until(() => {
      const end = stream.connection.buffer.indexOf("\r\n\r\n");
      if (end < 0) {
        assert.ok(!stream.connection.ended, "the connection ended before a head");
        return undefined;
      }
      const head = stream.connection.buffer.subarray(0, end).toString("latin1");
      stream.connection.buffer = stream.connection.buffer.subarray(end + 4);
      return head;
    }, "the head of an answer");
    return stream;
  }

  get status() {
    return Number(this.head.split(" ")[1]);
  }

  // As far as it came.
  get body() {
    if (this.#pieces.length !== 1) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0];
  }

  // Bytes of the body so far.
  get size() {
    return this.#pieces.reduce((sum, piece) => sum + piece.length, 0);
  }

  get text() {
    return this.body.toString("utf8");
  }

  header(name) {
    const line = this.head.split("\r\n").find((l) => l.toLowerCase().startsWith(`${name.toLowerCase()}:`));
    return line?.slice(name.length + 1).trim();
  }

  // Takes what has come out of the connection's buffer; behind the last chunk the rest stays there.
  take() {
    const { connection } = this;
    if (this.done) return;
    if (this.#old) {
      this.#pieces.push(connection.buffer);
      connection.buffer = Buffer.alloc(0);
      this.done = connection.ended === "end";
      return;
    }
    assert.equal(this.header("transfer-encoding"), "chunked");
    this.#pending = Buffer.concat([this.#pending, connection.buffer]);
    connection.buffer = Buffer.alloc(0);
    for (;;) {
      const end = this.#pending.indexOf("\r\n");
      if (end < 0) break;
      const line = this.#pending.subarray(0, end).toString("latin1");
      assert.match(line, /^[0-9a-f]{1,16}$/, "a chunk's size");
      const size = parseInt(line, 16);
      if (this.#pending.length < end + 2 + size + 2) break;
      this.#pieces.push(this.#pending.subarray(end + 2, end + 2 + size));
      assert.equal(this.#pending.subarray(end + 2 + size, end + 4 + size).toString("latin1"), "\r\n", "a chunk's end");
      this.#pending = this.#pending.subarray(end + 4 + size);
      if (size === 0) {
        this.done = true;
        connection.buffer = this.#pending;
        break;
      }
    }
  }

  // Resolves when check(this) is true of what has come.
  until(check, what) {
    return this.connection.until(() => {
      this.take();
      if (check(this)) return true;
      if (this.connection.ended && !this.done) throw new Error(`${what}: cut after ${JSON.stringify(this.text.slice(-200))}`);
      return undefined;
    }, what);
  }

  has(text) {
    return this.until((stream) => stream.text.includes(text), `"${text}" in a stream`);
  }

  whole() {
    return this.until((stream) => stream.done, "a stream's end").then(() => this.text);
  }

  // The connection ends before the body is whole.
  async cut() {
    await this.connection.closed();
    this.take();
    assert.ok(!this.done, "the answer looks whole");
    return this.text;
  }

  // The events so far, read as a browser does (HTML, "Server-sent events"): { data, retry }.
  get events() {
    const events = [];
    let data = "";
    let some = false;
    let retry;
    const lines = this.text.split(/\r\n|\n|\r/);
    lines.pop(); // not ended yet
    for (const line of lines) {
      if (line === "") {
        if (some) events.push(data.replace(/\n$/, ""));
        data = "";
        some = false;
        continue;
      }
      const colon = line.indexOf(":");
      if (colon === 0) continue;
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "data") {
        data += `${value}\n`;
        some = true;
      } else if (field === "retry") retry = Number(value);
      else assert.fail(`an unknown field: ${line}`);
    }
    return Object.assign(events, { retry });
  }

  // Waits until so many events came; they are returned.
  async heard(n) {
    await this.until((stream) => stream.events.length >= n, `${n} events`);
    return [...this.events];
  }
}
