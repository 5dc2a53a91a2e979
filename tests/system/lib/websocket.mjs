// A WebSocket client that can do everything wrong: frames are built bit by bit, and what the
// server sends is checked against RFC 6455 while it is read.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";

import { RawConnection } from "./raw.mjs";

export const CONTINUATION = 0x0;
export const TEXT = 0x1;
export const BINARY = 0x2;
export const CLOSE = 0x8;
export const PING = 0x9;
export const PONG = 0xa;

export function acceptKey(key) {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}

function bytesOf(payload) {
  return Buffer.isBuffer(payload) ? payload : Buffer.from(payload, "utf8");
}

// A frame's bytes. announced: a payload length that is not the real one; form: 7, 16 or 64 for
// the bits of the length, the shortest when not given; mask: 4 bytes, or false for none.
export function frame({ fin = true, rsv = 0, opcode = TEXT, payload = "", mask, announced, form } = {}) {
  const data = bytesOf(payload);
  const length = BigInt(announced ?? data.length);
  const bits = form ?? (length < 126n ? 7 : length < 65536n ? 16 : 64);
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  const masked = mask === false ? 0 : 0x80;
  let head;
  if (bits === 7) {
    head = Buffer.from([first, masked | Number(length)]);
  } else if (bits === 16) {
    head = Buffer.from([first, masked | 126, 0, 0]);
    head.writeUInt16BE(Number(length), 2);
  } else {
    head = Buffer.alloc(10);
    head[0] = first;
    head[1] = masked | 127;
    head.writeBigUInt64BE(length, 2);
  }
  if (mask === false) return Buffer.concat([head, data]);
  const key = mask ?? randomBytes(4);
  const body = Buffer.alloc(data.length);
  for (let i = 0; i < data.length; i++) body[i] = data[i] ^ key[i & 3];
  return Buffer.concat([head, key, body]);
}

// The payload of a close frame.
export function closePayload(code, reason = "") {
  if (code === undefined) return Buffer.alloc(0);
  const text = bytesOf(reason);
  const payload = Buffer.alloc(2 + text.length);
  payload.writeUInt16BE(code, 0);
  text.copy(payload, 2);
  return payload;
}

// permessage-deflate: a message's compressed form, and back (RFC 7692 §7.2).
const TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff]);

export function deflate(data, options) {
  const flushed = deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH, ...options });
  assert.ok(flushed.subarray(-4).equals(TAIL));
  return flushed.subarray(0, -4);
}

export function inflate(payload) {
  return inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: constants.Z_SYNC_FLUSH });
}

// deflated: was permessage-deflate agreed on?
function parseFrame(buffer, deflated) {
  if (buffer.length < 2) return undefined;
  const opcode = buffer[0] & 0x0f;
  const fin = (buffer[0] & 0x80) !== 0;
  const compressed = deflated && (opcode === TEXT || opcode === BINARY) && (buffer[0] & 0x40) !== 0;
  assert.equal(buffer[0] & 0x70, compressed ? 0x40 : 0, "reserved bits of a server's frame");
  assert.equal(buffer[1] & 0x80, 0, "a server's frame is masked");
  assert.ok([CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG].includes(opcode), `opcode ${opcode}`);
  let length = buffer[1] & 0x7f;
  let offset = 2;
  if (length === 126) {
    if (buffer.length < 4) return undefined;
    length = buffer.readUInt16BE(2);
    assert.ok(length >= 126, "the length is not in its shortest form");
    offset = 4;
  } else if (length === 127) {
    if (buffer.length < 10) return undefined;
    length = Number(buffer.readBigUInt64BE(2));
    assert.ok(length >= 65536, "the length is not in its shortest form");
    offset = 10;
  }
  if (opcode >= CLOSE) {
    assert.ok(fin, "a fragmented control frame");
    assert.ok(length <= 125, "a control frame that is too long");
  }
  if (buffer.length < offset + length) return undefined;
  return {
    frame: { fin, opcode, compressed, payload: buffer.subarray(offset, offset + length) },
    used: offset + length,
  };
}

// The close frame in a form to compare: { code, reason }; code undefined when there is none.
function readClose(payload) {
  if (payload.length === 0) return { code: undefined, reason: "" };
  assert.ok(payload.length >= 2, "a close frame of one byte");
  const reason = payload.subarray(2);
  new TextDecoder("utf-8", { fatal: true }).decode(reason);
  return { code: payload.readUInt16BE(0), reason: reason.toString("utf8") };
}

export class Socket {
  connection;
  response; // of the handshake
  #fences = 0;

  constructor(connection, response) {
    this.connection = connection;
    this.response = response;
  }

  get deflated() {
    return (this.response?.header("sec-websocket-extensions") ?? "").startsWith("permessage-deflate");
  }

  write(bytes) {
    return this.connection.write(bytes);
  }

  send(options) {
    return this.write(frame(options));
  }

  text(payload) {
    return this.send({ opcode: TEXT, payload });
  }

  binary(payload) {
    return this.send({ opcode: BINARY, payload });
  }

  ping(payload = "") {
    return this.send({ opcode: PING, payload });
  }

  pong(payload = "") {
    return this.send({ opcode: PONG, payload });
  }

  close(code, reason) {
    return this.send({ opcode: CLOSE, payload: closePayload(code, reason) });
  }

  // The next frame, whatever it is; undefined when the connection ended instead.
  frameOrEnd(what = "a frame", ms) {
    return this.connection.until(
      () => {
        const parsed = parseFrame(this.connection.buffer, this.deflated);
        if (!parsed) return this.connection.ended ? null : undefined;
        this.connection.buffer = this.connection.buffer.subarray(parsed.used);
        return parsed.frame;
      },
      what,
      ms,
    );
  }

  async frame(what = "a frame", ms) {
    const next = await this.frameOrEnd(what, ms);
    assert.ok(next, `${what}: the connection ended (${this.connection.ended})`);
    return next;
  }

  // The next message: a string or a Buffer. Pings are answered on the way.
  async message(what = "a message", ms) {
    let pieces;
    let kind;
    let compressed;
    for (;;) {
      const next = await this.frame(what, ms);
      if (next.opcode === PING) this.pong(next.payload);
      else if (next.opcode === CLOSE) assert.fail(`${what}: closed with ${JSON.stringify(readClose(next.payload))}`);
      else if (next.opcode !== PONG) {
        assert.equal(next.opcode === CONTINUATION, pieces !== undefined, "fragments in a wrong order");
        if (!pieces) {
          pieces = [];
          kind = next.opcode;
          compressed = next.compressed;
        }
        pieces.push(next.payload);
        if (next.fin) {
          const joined = Buffer.concat(pieces);
          const payload = compressed ? inflate(joined) : joined;
          if (kind === BINARY) return payload;
          return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload);
        }
      }
    }
  }

  async json(what) {
    return JSON.parse(await this.message(what));
  }

  // The close frame that must come next: { code, reason }.
  async closing(what = "a close frame", ms) {
    for (;;) {
      const next = await this.frame(what, ms);
      if (next.opcode === PING) continue;
      assert.equal(next.opcode, CLOSE, `${what}: opcode ${next.opcode} ${next.payload.subarray(0, 200)}`);
      return readClose(next.payload);
    }
  }

  // The server fails the connection: a close frame with one of the codes, then the end, whether
  // we answer or not.
  async fails(...codes) {
    const { code, reason } = await this.closing(`a close frame with ${codes.join(" or ")}`);
    assert.ok(codes.includes(code), `closed with ${code} "${reason}", not ${codes.join(" or ")}`);
    await this.gone();
    return { code, reason };
  }

  // The connection's end, with nothing before it.
  gone(ms) {
    return this.connection.closesSilently(ms);
  }

  #fence() {
    const mark = `fence ${++this.#fences}`;
    this.ping(mark);
    return mark;
  }

  // The messages that were on their way: all that the server had sent when it read this ping.
  async fence() {
    const messages = [];
    let posts = 2; // a ping is not the room's: its pong may overtake what waits for a slow room's turn, but one turn only
    for (let mark = this.#fence(); ; ) {
      const next = await this.frame("the pong of a fence");
      if (next.opcode === PONG && next.payload.toString() === mark) {
        if (--posts === 0) return messages;
        mark = this.#fence();
      }
      if (next.opcode === TEXT) messages.push(next.payload.toString("utf8"));
      else if (next.opcode === BINARY) messages.push(next.payload);
      else if (next.opcode === CLOSE) assert.fail(`closed with ${JSON.stringify(readClose(next.payload))}`);
    }
  }

  // Closes in good order: our close frame, the server's answer, the end. Messages that were on
  // their way come before the answer; nothing comes behind it.
  async leave(code = 1000, reason = "") {
    this.close(code, reason);
    return this.left();
  }

  // The server's answer to our close frame, then the end.
  async left() {
    for (;;) {
      const next = await this.frame("the answer to a close");
      if (next.opcode !== CLOSE) continue;
      await this.gone();
      return readClose(next.payload);
    }
  }

  // The TCP connection breaks.
  drop() {
    this.connection.destroy();
  }

  destroy() {
    this.connection.destroy();
  }
}

// The head of an upgrade request. Headers given replace the usual ones; null leaves one out.
export function upgradeBytes(host, path, { method = "GET", version = "HTTP/1.1", key, headers = {}, body = "" } = {}) {
  const all = {
    Host: host,
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": key,
    "Sec-WebSocket-Version": "13",
    ...headers,
  };
  const lines = [`${method} ${path} ${version}`];
  for (const [name, value] of Object.entries(all)) {
    if (value === null || value === undefined) continue;
    for (const item of Array.isArray(value) ? value : [value]) lines.push(`${name}: ${item}`);
  }
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n${body}`, "latin1");
}

// Does a handshake: { response, socket }, socket undefined when it was not a 101. more is
// written in the same packet.
export async function upgrade(server, path, options = {}) {
  const connection = await RawConnection.open(server);
  const key = options.key ?? randomBytes(16).toString("base64");
  connection.write(
    Buffer.concat([upgradeBytes(server.host, path, { ...options, key }), options.more ?? Buffer.alloc(0)]),
  );
  const response = await connection.response();
  if (response.status !== 101) return { response, connection };
  assert.equal(response.header("upgrade")?.toLowerCase(), "websocket");
  assert.match(response.header("connection") ?? "", /(^|,\s*)upgrade($|\s*,)/i);
  assert.equal(response.header("sec-websocket-accept"), acceptKey(key));
  return { response, connection, socket: new Socket(connection, response) };
}

// A WebSocket that must open.
export async function openSocket(server, path, options) {
  const { response, socket } = await upgrade(server, path, options);
  assert.ok(socket, `${path}: ${response.status} ${response.text}`);
  return socket;
}
