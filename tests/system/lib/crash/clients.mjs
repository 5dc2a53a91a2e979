// The load: clients that append to rooms, by requests and by sockets, until the server is gone. Nothing that
// arrived before it was gone is left unread.

import { Client } from "undici";
import WebSocket from "ws";

import { KINDS } from "./party.mjs";

const OUTSTANDING = 4; // messages of a socket

class Orders {
  #sequence = [];
  #next = 0;

  constructor(room, name, random) {
    this.room = room;
    this.name = name;
    this.random = random;
    room.orders.push(this.#sequence);
  }

  // The next one, entered as ordered.
  take() {
    const kind = this.random.pick(KINDS);
    const id = `${this.name}-${++this.#next}`;
    const ids = kind === "wait" ? [`${id}a`, `${id}b`] : [id];
    for (const one of ids) this.room.ordered.add(one);
    // while an order waits, those after it go on
    if (kind !== "wait") this.#sequence.push(id);
    const pad = kind === "large" ? this.random.within(5000, 60000) : this.random.within(0, 200);
    return { id, kind, pad };
  }

  // It was answered: the entries of the order are there.
  answered({ id, kind }) {
    if (kind === "wait") this.room.answered.add(`${id}a`);
    else this.room.answered.add(id);
  }
}

// One request after the other on one connection. Resolves when the server is gone.
async function request(url, room, orders, problems) {
  const client = new Client(url, { headersTimeout: 60000, bodyTimeout: 60000 });
  try {
    for (;;) {
      const order = orders.take();
      const { statusCode, body } = await client.request({
        path: `/party/${room.name}`,
        method: "POST",
        body: JSON.stringify(order),
      });
      const text = await body.text();
      if (statusCode === 200) room.told(text);
      else if (statusCode !== 500 || order.kind !== "raise") problems.push(new Error(`${statusCode} ${text} for ${order.kind}`));
      orders.answered(order);
    }
  } catch (error) {
    if (!/^(UND_ERR|ECONN|EPIPE)/.test(error.code ?? "")) problems.push(error);
  } finally {
    await client.destroy();
  }
}

// Several messages at a time, and all that the room broadcasts. Resolves when the server is gone.
function socket(url, room, orders, problems) {
  return new Promise((done) => {
    const socket = new WebSocket(`${url.replace("http", "ws")}/party/${room.name}`, { perMessageDeflate: false });
    const outstanding = new Map();
    const send = () => {
      while (outstanding.size < OUTSTANDING && socket.readyState === WebSocket.OPEN) {
        const order = orders.take();
        if (order.kind === "raise") order.kind = "put"; // nothing would come back
        outstanding.set(order.kind === "wait" ? `${order.id}b` : order.id, order);
        socket.send(JSON.stringify(order));
      }
    };
    socket.on("open", send);
    socket.on("message", (data) => {
      try {
        const line = String(data);
        room.told(line);
        const id = line.split(" ")[1];
        const order = outstanding.get(id);
        if (!order) return;
        outstanding.delete(id);
        orders.answered(order);
        send();
      } catch (error) {
        problems.push(error);
        socket.terminate();
      }
    });
    socket.on("error", () => {}); // a close follows
    socket.on("close", done);
  });
}

// Starts them; requests and sockets are how many of each a room has. Resolves, when the server is gone, with what
// went wrong: an array of errors.
export async function load(url, rooms, { round, random, requests, sockets }) {
  const problems = [];
  const all = rooms.flatMap((room) => {
    const orders = (kind, i) => new Orders(room, `r${round}${kind}${i}`, random.fork());
    return [
      ...Array.from({ length: requests }, (_, i) => request(url, room, orders("h", i), problems)),
      ...Array.from({ length: sockets }, (_, i) => socket(url, room, orders("w", i), problems)),
    ];
  });
  await Promise.all(all);
  return problems;
}
