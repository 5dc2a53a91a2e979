// The benchmark's parties as a Node server on `http` and npm `ws`. Started by run.mjs: node ws.mjs PORT

import { createServer } from "node:http";
import { WebSocket, WebSocketServer } from "ws";

const PARTIES = new Set(["main", "echo", "room", "idle"]);
const rooms = new Map();

/** The room that a request names, made if it is new; undefined for any other URL. */
function roomOf(url) {
    const room = rooms.get(url);
    if (room) return room;
    const [, prefix, party, id, more] = url.split("/");
    if (prefix !== "parties" || !PARTIES.has(party) || !id || more !== undefined) return undefined;
    const made = { party, sockets: new Set(), messages: [] };
    rooms.set(url, made);
    return made;
}

function broadcast(room, data, binary) {
    for (const socket of room.sockets) {
        if (socket.readyState === WebSocket.OPEN) socket.send(data, { binary });
    }
}

function answer(response, status, text) {
    response.writeHead(status, {
        "Content-Type": "text/plain;charset=UTF-8",
        "Content-Length": Buffer.byteLength(text),
    });
    response.end(text);
}

function readBody(request, done) {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => done(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
}

function onRequest(request, response) {
    const room = roomOf(request.url);
    if (!room) return answer(response, 404, "Not found");
    if (room.party === "idle") return answer(response, 200, "OK");
    if (room.party !== "main") return answer(response, 404, "Not implemented");
    if (request.method === "GET") return answer(response, 200, JSON.stringify(room.messages));
    if (request.method !== "POST") return answer(response, 405, "Method not allowed");
    return readBody(request, (body) => {
        let message;
        try {
            ({ message } = JSON.parse(body));
        } catch {
            return answer(response, 400, "Malformed JSON");
        }
        room.messages.push(message);
        broadcast(room, Buffer.from(message), false);   // encoded once for all
        return answer(response, 200, "OK");
    });
}

function onSocket(socket, room) {
    room.sockets.add(socket);
    socket.on("close", () => room.sockets.delete(socket));
    socket.on("error", () => socket.terminate());
    if (room.party === "echo") socket.on("message", (data, binary) => socket.send(data, { binary }));
    if (room.party === "room") socket.on("message", (data, binary) => broadcast(room, data, binary));
}

const server = createServer(onRequest);
const sockets = new WebSocketServer({ noServer: true, clientTracking: false, perMessageDeflate: false });

server.on("upgrade", (request, stream, head) => {
    const room = roomOf(request.url);
    if (!room) return stream.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    return sockets.handleUpgrade(request, stream, head, (socket) => onSocket(socket, room));
});

server.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
