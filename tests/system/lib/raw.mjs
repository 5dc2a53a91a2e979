// HTTP over a bare socket: any bytes out, and a strict reader for what comes back. Every
// response that a test reads here is checked against RFC 9110 and RFC 9112 on the way.

import assert from "node:assert/strict";
import net from "node:net";

import { Changes, within } from "./wait.mjs";

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const DATE = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT$/;

export class Response {
  status;
  reason;
  lines = []; // [name, value] as sent
  body = Buffer.alloc(0);
  informational = []; // the 1xx responses before it

  // The value of a header (any case), undefined when it is not there. More than one line of
  // the same name is a failure: use all().
  header(name) {
    const values = this.all(name);
    assert.ok(values.length <= 1, `${name} is there ${values.length} times`);
    return values[0];
  }

  all(name) {
    return this.lines.filter(([n]) => n.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
  }

  get text() {
    return this.body.toString("utf8");
  }

  // Does it say that the connection ends?
  get closes() {
    return /(^|[\s,])close($|[\s,])/i.test(this.header("connection") ?? "");
  }
}

// Reads the head of a response; undefined when it is not all there.
function parseHead(buffer) {
  const end = buffer.indexOf("\r\n\r\n");
  if (end < 0) {
    // what can never become a response is refused at once
    const start = buffer.subarray(0, 9).toString("latin1");
    assert.ok("HTTP/1.1 ".startsWith(start), `not a response: ${JSON.stringify(buffer.subarray(0, 200).toString("latin1"))}`);
    return undefined;
  }
  const text = buffer.subarray(0, end).toString("latin1");
  const [statusLine, ...lines] = text.split("\r\n");
  const match = /^HTTP\/1\.1 (\d{3}) ([\t\x20-\x7e\x80-\xff]*)$/.exec(statusLine);
  assert.ok(match, `status line ${JSON.stringify(statusLine)}`);
  const response = new Response();
  response.status = Number(match[1]);
  response.reason = match[2];
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, "");
    assert.ok(colon > 0 && TOKEN.test(name), `header line ${JSON.stringify(line)}`);
    assert.match(value, /^[\t\x20-\x7e\x80-\xff]*$/, `value of ${name}`);
    response.lines.push([name, value]);
  }
  return { response, used: end + 4 };
}

// Reads a chunked body; undefined when it is not all there.
function parseChunked(buffer, offset) {
  const pieces = [];
  for (;;) {
    const lineEnd = buffer.indexOf("\r\n", offset);
    if (lineEnd < 0) return undefined;
    const line = buffer.subarray(offset, lineEnd).toString("latin1");
    assert.match(line, /^[0-9a-fA-F]{1,15}$/, "a chunk's size");
    const size = parseInt(line, 16);
    offset = lineEnd + 2;
    if (size === 0) {
      if (buffer.length < offset + 2) return undefined;
      assert.equal(buffer.subarray(offset, offset + 2).toString("latin1"), "\r\n", "end of chunks");
      return { body: Buffer.concat(pieces), used: offset + 2 };
    }
    if (buffer.length < offset + size + 2) return undefined;
    pieces.push(buffer.subarray(offset, offset + size));
    assert.equal(buffer.subarray(offset + size, offset + size + 2).toString("latin1"), "\r\n", "end of a chunk");
    offset += size + 2;
  }
}

// One response (1xx apart) from the front of the bytes: { response, used }, or undefined when
// more bytes are needed. method is that of the request; ended says that no more will come.
export function parseResponse(buffer, { method = "GET", ended = false } = {}) {
  const head = parseHead(buffer);
  if (!head) return undefined;
  const { response, used } = head;
  const { status } = response;
  const length = response.header("content-length");
  const coding = response.header("transfer-encoding");
  if (length !== undefined) assert.match(length, /^\d+$/, "Content-Length");
  assert.ok(length === undefined || coding === undefined, "Content-Length and Transfer-Encoding");
  if (status < 200 || status === 204) {
    assert.equal(length, undefined, `Content-Length on ${status}`); // RFC 9110 §8.6
    assert.equal(coding, undefined, `Transfer-Encoding on ${status}`);
  }
  if (status >= 200) assert.match(response.header("date") ?? "", DATE, "Date");
  if (status < 200 || status === 204 || status === 304 || method === "HEAD") return { response, used };
  if (coding !== undefined) {
    assert.equal(coding.toLowerCase(), "chunked");
    const chunked = parseChunked(buffer, used);
    if (!chunked) return undefined;
    response.body = chunked.body;
    return { response, used: chunked.used };
  }
  if (length !== undefined) {
    if (buffer.length < used + Number(length)) return undefined;
    response.body = buffer.subarray(used, used + Number(length));
    return { response, used: used + Number(length) };
  }
  assert.ok(response.closes, "a response without a length that does not end the connection");
  if (!ended) return undefined;
  response.body = buffer.subarray(used);
  return { response, used: buffer.length };
}

// A request's head and body as bytes.
export function requestBytes({ method = "GET", path = "/", version = "HTTP/1.1", host, headers = {}, body }) {
  const lines = [`${method} ${path} ${version}`];
  if (host !== undefined && headers.Host === undefined) lines.push(`Host: ${host}`);
  for (const [name, value] of Object.entries(headers)) {
    for (const item of Array.isArray(value) ? value : [value]) lines.push(`${name}: ${item}`);
  }
  const bytes = body === undefined ? Buffer.alloc(0) : Buffer.from(body);
  const names = Object.keys(headers).map((name) => name.toLowerCase());
  if (body !== undefined && !names.includes("content-length") && !names.includes("transfer-encoding")) {
    lines.push(`Content-Length: ${bytes.length}`);
  }
  return Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), bytes]);
}

// A body in chunks of the given texts.
export function chunked(...chunks) {
  return `${chunks.map((c) => `${Buffer.byteLength(c, "latin1").toString(16)}\r\n${c}\r\n`).join("")}0\r\n\r\n`;
}

export class RawConnection {
  buffer = Buffer.alloc(0); // received, not yet read by the test
  // "end" after the server's FIN, "reset" after an error. libuv tells a RST that it finds together with data as an end.
  ended = undefined;
  changes = new Changes();

  #socket;
  #server;

  constructor(socket, server) {
    this.#socket = socket;
    this.#server = server;
    this.host = server.host;
    server.clients?.add(this);
    socket.setNoDelay(true);
    socket.on("data", (data) => {
      this.buffer = this.buffer.length ? Buffer.concat([this.buffer, data]) : data;
      this.changes.changed();
    });
    socket.on("end", () => this.#finish("end"));
    socket.on("error", () => this.#finish("reset"));
    socket.on("close", () => this.#finish("reset"));
  }

  #finish(how) {
    this.ended ??= how;
    this.#server.clients?.delete(this);
    if (how === "end") this.#socket.end(); // half-open otherwise
    this.changes.changed();
  }

  static open(server, { localAddress } = {}) {
    return within(
      new Promise((done, failed) => {
        const socket = net.connect({ host: server.hostname, port: server.port, localAddress, allowHalfOpen: true });
        socket.once("error", failed);
        socket.once("connect", () => {
          socket.off("error", failed);
          done(new RawConnection(socket, server));
        });
      }),
      "a connection",
    );
  }

  // Text is one byte for each character, so that any byte can be written in a string.
  write(data) {
    return this.#socket.write(typeof data === "string" ? Buffer.from(data, "latin1") : data);
  }

  // A request; the Host is the server's unless the headers have one.
  send(request) {
    return this.write(requestBytes({ host: this.host, ...request }));
  }

  // Byte by byte, each in a write of its own and with a turn of our loop between; stops when
  // the server has something to say.
  async drip(data) {
    const bytes = typeof data === "string" ? Buffer.from(data, "latin1") : data;
    for (let i = 0; i < bytes.length; i++) {
      if (this.buffer.length > 0 || this.ended) return;
      this.#socket.write(bytes.subarray(i, i + 1));
      await new Promise((done) => setImmediate(done));
    }
  }

  // Resolves when what was written has left for the kernel.
  flushed() {
    return within(
      new Promise((done) => this.#socket.write(Buffer.alloc(0), done)),
      "a write's end",
    );
  }

  // Ends the sending side only.
  end() {
    this.#socket.end();
  }

  pause() {
    this.#socket.pause();
  }

  resume() {
    this.#socket.resume();
  }

  get unsent() {
    return this.#socket.writableLength;
  }

  destroy() {
    this.#server.clients?.delete(this);
    this.#socket.destroy();
  }

  // Goes away with a RST.
  reset() {
    this.#server.clients?.delete(this);
    this.#socket.resetAndDestroy();
  }

  #describe() {
    return `(received ${JSON.stringify(this.buffer.subarray(0, 400).toString("latin1"))}, ended: ${this.ended})`;
  }

  until(check, what, ms) {
    return this.changes.until(check, what, { ms, describe: () => this.#describe() });
  }

  // The next response; 1xx but 101 are collected in .informational.
  response({ method = "GET", ms } = {}) {
    const informational = [];
    return this.until(
      () => {
        for (;;) {
          const parsed = parseResponse(this.buffer, { method, ended: this.ended === "end" });
          if (!parsed) {
            if (this.ended) throw new Error(`the connection ended before a response ${this.#describe()}`);
            return undefined;
          }
          this.buffer = this.buffer.subarray(parsed.used);
          if (parsed.response.status >= 200 || parsed.response.status === 101) {
            parsed.response.informational = informational;
            return parsed.response;
          }
          informational.push(parsed.response);
        }
      },
      `a response to ${method}`,
      ms,
    );
  }

  // The connection's end: "end" or "reset". What came before it stays in .buffer.
  closed(ms) {
    return this.until(() => this.ended, "the connection's end", ms);
  }

  // The server ends the connection, and says nothing more before.
  async closesSilently(ms) {
    const how = await this.closed(ms);
    assert.equal(this.buffer.toString("latin1"), "", "bytes before the connection's end");
    return how;
  }
}
