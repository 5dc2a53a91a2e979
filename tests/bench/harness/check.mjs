/**
 * Proof that a server does what its figures will be read as: the same answers to the same requests.
 */

import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";

const DEADLINE = 30_000;

/** [status, body] of a request. */
async function ask(port, method, path, body) {
    const sent = request({ host: "127.0.0.1", port, method, path, agent: false });
    sent.end(body);
    const [response] = await once(sent, "response");
    response.setEncoding("utf8");
    let text = "";
    for await (const chunk of response) text += chunk;
    return [response.statusCode, text];
}

/** A WebSocket whose messages are awaited one by one: next() rejects when it closes first. */
async function open(WebSocket, port, path) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { perMessageDeflate: false });
    const arrived = [];
    socket.on("message", (data, binary) => {
        arrived.push(binary ? data : data.toString());
        socket.emit("arrival");
    });
    await once(socket, "open");
    const closed = new Promise((resolve) => socket.on("close", resolve));
    socket.on("error", () => {});   // what matters of it is the close that follows
    const next = async () => {
        if (!arrived.length) {
            const code = await Promise.race([once(socket, "arrival"), closed]);
            assert(arrived.length, `closed with ${code} in place of an answer`);
        }
        return arrived.shift();
    };
    const close = async () => {
        socket.close(1000);
        assert.equal(await closed, 1000, "close code");
    };
    return { send: (message) => socket.send(message), next, close };
}

async function checkMessageServer(WebSocket, port) {
    const room = "/parties/main/check";
    assert.deepEqual(await ask(port, "GET", room), [200, "[]"]);
    const here = [await open(WebSocket, port, room), await open(WebSocket, port, room)];
    const elsewhere = await open(WebSocket, port, "/parties/main/elsewhere");
    assert.deepEqual(await ask(port, "POST", room, '{"message":"Hello!"}'), [200, "OK"]);
    for (const socket of here) assert.equal(await socket.next(), "Hello!");
    assert.deepEqual(await ask(port, "GET", room), [200, '["Hello!"]']);
    assert.deepEqual(await ask(port, "PUT", room, "x"), [405, "Method not allowed"]);
    const other = await ask(port, "POST", "/parties/main/elsewhere", '{"message":"Only here"}');
    assert.deepEqual(other, [200, "OK"]);
    assert.equal(await elsewhere.next(), "Only here", "a broadcast left its room");
    for (const socket of [...here, elsewhere]) await socket.close();
}

async function checkEcho(WebSocket, port) {
    const one = await open(WebSocket, port, "/parties/echo/check");
    const other = await open(WebSocket, port, "/parties/echo/check");
    const large = "é漢🙂 and so on ".repeat(50_000);   // 1,000,000 bytes
    for (const message of ["Hello!", "é漢🙂", large, Buffer.from([0, 255, 128])]) {
        one.send(message);
        assert.deepEqual(await one.next(), message, "echo");
    }
    other.send("mine");
    assert.equal(await other.next(), "mine", "an echo went to another socket");
    for (const socket of [one, other]) await socket.close();
}

async function checkRoom(WebSocket, port) {
    const room = "/parties/room/check";
    const members = [await open(WebSocket, port, room), await open(WebSocket, port, room)];
    const elsewhere = await open(WebSocket, port, "/parties/room/elsewhere");
    members[0].send("to all");
    for (const socket of members) assert.equal(await socket.next(), "to all", "broadcast");
    elsewhere.send("only here");
    assert.equal(await elsewhere.next(), "only here", "a broadcast left its room");
    for (const socket of [...members, elsewhere]) await socket.close();
}

async function checkIdle(WebSocket, port) {
    assert.deepEqual(await ask(port, "GET", "/parties/idle/check"), [200, "OK"]);
    await (await open(WebSocket, port, "/parties/idle/check")).close();
}

/** Only of a server that stores. */
async function checkStorage(WebSocket, port) {
    for (const party of ["hotget", "store"]) {
        const socket = await open(WebSocket, port, `/parties/${party}/check`);
        socket.send("kept");
        assert.equal(await socket.next(), "kept", party);
        await socket.close();
    }
}

/**
 * Throws if the server on `port` behaves otherwise than the benchmark's parties; `WebSocket` is npm ws's. Resolves with
 * whether it stores what it is to store; `older`: it may not.
 */
export async function check(WebSocket, port, { storage, older }) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error("no answer in time")), DEADLINE);
    });
    const all = async () => {
        await checkEcho(WebSocket, port);
        await checkRoom(WebSocket, port);
        await checkMessageServer(WebSocket, port);
        await checkIdle(WebSocket, port);
        if (!storage) return false;
        return checkStorage(WebSocket, port).then(() => true, (error) => {
            if (older) return false;
            throw error;
        });
    };
    try {
        return await Promise.race([all(), late]);
    } finally {
        clearTimeout(timer);
    }
}
