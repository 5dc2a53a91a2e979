// A client for pages without a bundler; the server itself serves it:
//
//     import { PartySocket, connect } from "/_festa/client.js";
//
//     const socket = connect("chat", "kitchen");
//     socket.addEventListener("message", (event) => console.log(event.data));
//     socket.send("hello");
//
// A PartySocket is a WebSocket that comes back: it connects again when the connection is lost, later each
// time, keeps its id, and sends what was said meanwhile once it is there. Options, methods and events are
// those of npm's partysocket; where it differs, it says so below. It sets no globals.

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

const DEFAULTS = {
  minReconnectionDelay: 1000, // ms before the first try, and
  reconnectionDelayGrowFactor: 1.5, // so many times more before each further one, but
  maxReconnectionDelay: 10000, // never more than this
  minUptime: 5000, // ms that a connection must stand before the count begins anew
  connectionTimeout: 4000, // ms that one try may take
  maxRetries: Infinity, // tries in a row
  maxEnqueuedMessages: Infinity, // what send keeps while there is no connection; more is dropped
};

// What a server says when trying again would bring the same answer: who are you, you may not, there is no such
// thing, somebody else has your id now. shouldReconnectOnClose decides otherwise.
const FINAL_CODES = new Set([4401, 4403, 4404, 4409]);

// Node 18 has neither of these.
export const CloseEvent =
  globalThis.CloseEvent ??
  class CloseEvent extends Event {
    constructor(type, { code = 0, reason = "", wasClean = false } = {}) {
      super(type);
      Object.assign(this, { code, reason, wasClean });
    }
  };

export const ErrorEvent =
  globalThis.ErrorEvent ??
  class ErrorEvent extends Event {
    constructor(type, { error, message = "" } = {}) {
      super(type);
      Object.assign(this, { error, message });
    }
  };

// crypto.randomUUID is there for https and localhost alone; a phone that is shown http://192.168.1.5 has none. Node 18
// has no crypto here: an id need not be a secret, only its own.
function randomId() {
  const crypto = globalThis.crypto;
  if (crypto?.randomUUID) return crypto.randomUUID();
  const bytes = crypto ? crypto.getRandomValues(new Uint8Array(16)) : Array.from({ length: 16 }, () => Math.random() * 256);
  bytes[6] = (bytes[6] & 15) | 64; // version 4, and the variant of RFC 9562
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = Array.from(bytes, (byte) => Math.floor(byte).toString(16).padStart(2, "0"));
  return [4, 2, 2, 2, 6].map((length) => hex.splice(0, length).join("")).join("-");
}

const LOCAL = /^(localhost|127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|\[::1\]|\[::ffff:7f00:1\])/;

// Where a room is: { host, secure }. Without a host it is where this module came from. A host may be a URL, whose
// scheme then counts; else the page's own host is spoken to as the page is, and others by TLS unless they are near.
function placeOf(options) {
  const home = /^https?:/.test(import.meta.url) ? new URL(import.meta.url) : undefined;
  const given = options.host ?? home?.origin;
  if (!given) throw new TypeError("PartySocket: the option host is missing");
  const [, scheme, host] = /^(?:(https?|wss?):\/\/)?([^/]+)\/?$/.exec(given) ?? [];
  if (!host) throw new TypeError(`PartySocket: ${given} is no host`);
  if (options.protocol) return { host, secure: /^(https|wss)/.test(options.protocol) };
  if (scheme) return { host, secure: scheme.endsWith("s") };
  const page = globalThis.location?.host === host ? globalThis.location : undefined;
  return { host, secure: page ? page.protocol === "https:" : !LOCAL.test(host) };
}

function segment(what, text) {
  if (String(text).includes("/")) throw new TypeError(`PartySocket: the ${what} "${text}" has a slash`);
  // URLs take these for folders, encoded or not: another room would be meant.
  if (/^\.\.?$/.test(text)) throw new TypeError(`PartySocket: the ${what} can't be "${text}"`);
  return encodeURIComponent(text);
}

// Other than in partysocket, room and party are names, not pieces of a URL: they are encoded here.
function addressOf(options) {
  const { host, secure } = placeOf(options);
  const { party = "main", room, path, basePath, prefix = "parties" } = options;
  if (path?.startsWith("/")) throw new TypeError("PartySocket: path must not begin with a slash");
  if (!basePath && (room === undefined || room === null || room === ""))
    throw new TypeError("PartySocket: the option room is missing (or basePath)");
  const place = basePath || `${prefix}/${segment("party", party)}/${segment("room", room)}`;
  const tail = `://${host}/${place}${path ? `/${path}` : ""}`;
  return { host, party, room, socket: (secure ? "wss" : "ws") + tail, http: (secure ? "https" : "http") + tail };
}

// query is an object, or a function that returns one, now or later; null and undefined values are left out.
async function withQuery(url, query, first = {}) {
  const given = typeof query === "function" ? await query() : query;
  const pairs = Object.entries({ ...first, ...given }).filter(([, value]) => value !== null && value !== undefined);
  return pairs.length ? `${url}?${new URLSearchParams(pairs)}` : url;
}

const sizeOf = (data) => (typeof data === "string" ? new TextEncoder().encode(data).length : data.size ?? data.byteLength);

export class PartySocket extends EventTarget {
  static CONNECTING = CONNECTING;
  static OPEN = OPEN;
  static CLOSING = CLOSING;
  static CLOSED = CLOSED;
  CONNECTING = CONNECTING;
  OPEN = OPEN;
  CLOSING = CLOSING;
  CLOSED = CLOSED;

  onopen = null;
  onmessage = null;
  onerror = null;
  onclose = null;

  #options;
  #address; // undefined as long as a startClosed socket has no room
  #id;
  #clock; // { setTimeout, clearTimeout, random }, for tests
  #socket; // the WebSocket of now; undefined between two tries
  #attempt = 0; // counts what has been begun, so that what belongs to an earlier one is known as such
  #tries = 0; // in a row, without a connection that has stood
  #timer; // until the next try, until this one has taken too long, or until it counts as standing
  #queue = [];
  #wanted; // it is to be connected
  #announced = true; // the last close event has been dispatched, or there was nothing to close
  #online = () => this.#connect(0); // a network that is back is better news than a timer
  #binaryType = "blob";

  constructor(options) {
    super();
    this.#clock = options.clock ?? {
      setTimeout: (fn, ms) => setTimeout(fn, ms),
      clearTimeout: (timer) => clearTimeout(timer),
      random: Math.random,
    };
    this.#wanted = !options.startClosed;
    this.#id = options.id || randomId();
    this.#adopt(options);
    if (this.#wanted) this.#connect(0);
  }

  // ---- what it is

  get id() {
    return this.#id;
  }

  get name() {
    return this.#address?.party;
  }

  get room() {
    return this.#address?.room;
  }

  get host() {
    return this.#address?.host;
  }

  get path() {
    return this.#options.path ? `/${this.#options.path}` : "";
  }

  get basePath() {
    return this.#options.basePath;
  }

  // The room's URL, without a query.
  get roomUrl() {
    return this.#address?.socket;
  }

  get partySocketOptions() {
    return this.#options;
  }

  get readyState() {
    if (this.#socket) return this.#socket.readyState;
    if (!this.#announced) return CONNECTING; // it asks for its query
    return this.#wanted && this.#tries === 0 ? CONNECTING : CLOSED; // closed between two tries
  }

  get url() {
    return this.#socket?.url ?? "";
  }

  get protocol() {
    return this.#socket?.protocol ?? "";
  }

  get extensions() {
    return this.#socket?.extensions ?? "";
  }

  get binaryType() {
    return this.#binaryType;
  }

  set binaryType(type) {
    this.#binaryType = type;
    if (this.#socket) this.#socket.binaryType = type;
  }

  // Bytes that have not left yet, those that wait for a connection among them.
  get bufferedAmount() {
    return this.#queue.reduce((sum, data) => sum + sizeOf(data), this.#socket?.bufferedAmount ?? 0);
  }

  // Tries in a row since it was last connected for minUptime.
  get retryCount() {
    return this.#tries;
  }

  // Will it connect again when the connection is lost? In a listener of "close": does it?
  get shouldReconnect() {
    return this.#wanted;
  }

  // ---- what it does

  // True when it has left; false when it waits for the connection, or was dropped (maxEnqueuedMessages).
  send(data) {
    if (this.#socket?.readyState === OPEN) {
      this.#socket.send(data);
      return true;
    }
    if (this.#queue.length < this.#option("maxEnqueuedMessages")) this.#queue.push(data);
    return false;
  }

  // What waits for the connection; it is the caller's from here on.
  drainQueuedMessages() {
    return this.#queue.splice(0);
  }

  // For good, until reconnect(). The close event comes before this returns.
  close(code = 1000, reason = "") {
    this.#drop(code, reason);
  }

  // At once, with a new connection; options may have been changed by updateProperties.
  reconnect(code = 1000, reason = "") {
    if (!this.#address) this.#address = addressOf(this.#options); // raises: what is missing?
    this.#drop(code, reason, true);
  }

  // Other options, for the next connection. The id stays, unless a new one is given.
  updateProperties(options) {
    if (options.id) this.#id = options.id;
    this.#adopt({ ...this.#options, ...options });
  }

  // A request to the room: PartySocket.fetch({ party, room, path, query }, init).
  static async fetch(options, init) {
    const url = await withQuery(addressOf(options).http, options.query);
    return (options.fetch ?? globalThis.fetch)(url, init);
  }

  // ---- how

  #option(name) {
    return this.#options[name] ?? DEFAULTS[name];
  }

  #adopt(options) {
    const complete = options.room || options.basePath || !options.startClosed;
    this.#address = complete ? addressOf(options) : undefined;
    this.#options = options;
  }

  #debug(...what) {
    if (this.#options.debug) (this.#options.debugLogger ?? console.log)("PartySocket:", ...what);
  }

  #emit(event) {
    this[`on${event.type}`]?.(event);
    this.dispatchEvent(event);
  }

  #after(ms, fn) {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = this.#clock.setTimeout(fn, ms);
  }

  // Between half of what the growth says and all of it: thousands that were disconnected together do not come
  // back together. (partysocket waits for exactly as long.)
  #delay() {
    const grown = this.#option("minReconnectionDelay") * this.#option("reconnectionDelayGrowFactor") ** (this.#tries - 1);
    return Math.min(grown, this.#option("maxReconnectionDelay")) * (1 - this.#clock.random() / 2);
  }

  #connect(ms) {
    const attempt = ++this.#attempt;
    this.#debug("connects in", ms, "ms");
    this.#clock.clearTimeout(this.#timer);
    globalThis.removeEventListener?.("online", this.#online);
    if (ms > 0) {
      globalThis.addEventListener?.("online", this.#online);
      this.#after(ms, () => this.#begin(attempt));
    } else {
      queueMicrotask(() => this.#begin(attempt)); // listeners are added after the constructor
    }
  }

  // What was begun is of no interest any more.
  #over() {
    this.#attempt++;
    this.#clock.clearTimeout(this.#timer);
    globalThis.removeEventListener?.("online", this.#online);
    this.#socket = undefined;
    this.#announced = true;
  }

  async #begin(attempt) {
    let socket;
    const mine = () => attempt === this.#attempt;
    if (!mine()) return;
    globalThis.removeEventListener?.("online", this.#online);
    this.#announced = false;
    this.#after(this.#option("connectionTimeout"), () => mine() && this.#fail(new Error("TIMEOUT")));
    try {
      const given = this.#options.protocols;
      const protocols = typeof given === "function" ? await given() : given;
      const url = await withQuery(this.#address.socket, this.#options.query, { _pk: this.#id });
      if (!mine()) return;
      const Socket = this.#options.WebSocket ?? globalThis.WebSocket;
      if (!Socket) throw new Error("there is no WebSocket here; pass one as the option WebSocket");
      socket = protocols ? new Socket(url, protocols) : new Socket(url);
    } catch (error) {
      if (mine()) this.#fail(error);
      return;
    }
    this.#socket = socket;
    socket.binaryType = this.#binaryType;
    // These stay with it; what it still has to say when another has taken its place is not heard.
    socket.addEventListener("open", () => mine() && this.#opened());
    socket.addEventListener("message", (event) => mine() && this.#emit(new MessageEvent("message", { data: event.data })));
    socket.addEventListener("error", (event) => mine() && this.#complain(event.error ?? new Error(event.message || "the connection failed")));
    socket.addEventListener("close", (event) => mine() && this.#lost(event));
  }

  #opened() {
    this.#debug("is open");
    this.#after(this.#option("minUptime"), () => (this.#tries = 0));
    for (const data of this.#queue.splice(0)) this.#socket.send(data);
    this.#emit(new Event("open"));
  }

  #complain(error) {
    this.#debug("error", error);
    this.#emit(new ErrorEvent("error", { error, message: error.message }));
  }

  // This try leads nowhere.
  #fail(error) {
    const attempt = this.#attempt;
    const socket = this.#socket;
    this.#complain(error);
    if (attempt !== this.#attempt) return; // a listener has closed or reconnected
    this.#lost({ code: 1006, reason: "", wasClean: false });
    socket?.close();
  }

  // The connection, or the try, is over; what follows is decided before anybody hears of it.
  #lost({ code, reason, wasClean }) {
    const event = new CloseEvent("close", { code, reason, wasClean });
    this.#over();
    if (this.#wanted) {
      const again = this.#options.shouldReconnectOnClose ?? (() => !FINAL_CODES.has(code));
      this.#wanted = this.#tries < this.#option("maxRetries") && Boolean(again(event));
    }
    if (this.#wanted) {
      this.#tries++;
      this.#connect(this.#delay());
    }
    this.#emit(event);
  }

  // The socket is closed by its owner: others need not wait for the server's word.
  #drop(code, reason, again = false) {
    const socket = this.#socket;
    const announced = this.#announced;
    if (socket) socket.close(code, reason); // raises for a code that may not be: then nothing has changed
    this.#over();
    this.#wanted = again; // a listener of "close" may ask, and may decide otherwise
    if (again) {
      this.#tries = 0;
      this.#connect(0);
    }
    if (!announced) this.#emit(new CloseEvent("close", { code, reason, wasClean: true }));
  }
}

export default PartySocket;

// new PartySocket, for a room of the server that this module came from.
export function connect(party, room, options = {}) {
  return new PartySocket({ ...options, party, room });
}
