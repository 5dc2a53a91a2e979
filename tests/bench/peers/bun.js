// The benchmark's parties as a Bun server: its native router and its native publish and subscribe.
// Started by run.mjs: bun bun.js PORT

const rooms = new Map();

/** The room of a party and an id, made if it is new. */
function roomOf(party, id) {
    const topic = `${party}/${id}`;
    let room = rooms.get(topic);
    if (!room) rooms.set(topic, (room = { party, topic, messages: [] }));
    return room;
}

/** A route's GET: a WebSocket of the room, or else what `answer` makes of the room. */
function get(party, answer) {
    return (request) => {
        const room = roomOf(party, request.params.room);
        if (server.upgrade(request, { data: room })) return undefined;
        return answer(room);
    };
}

const notImplemented = () => new Response("Not implemented", { status: 404 });

async function postMain(request) {
    let message;
    try {
        ({ message } = await request.json());
    } catch {
        return new Response("Malformed JSON", { status: 400 });
    }
    const room = roomOf("main", request.params.room);
    room.messages.push(message);
    server.publish(room.topic, message);
    return new Response("OK");
}

const server = Bun.serve({
    port: Number(process.argv[2]),
    hostname: "127.0.0.1",
    routes: {
        "/parties/main/:room": {
            GET: get("main", (room) => new Response(JSON.stringify(room.messages))),
            POST: postMain,
            PUT: () => new Response("Method not allowed", { status: 405 }),
        },
        "/parties/echo/:room": get("echo", notImplemented),
        "/parties/room/:room": get("room", notImplemented),
        "/parties/idle/:room": get("idle", () => new Response("OK")),
    },
    fetch: () => new Response("Not found", { status: 404 }),
    websocket: {
        perMessageDeflate: false,
        backpressureLimit: 64 * 1024 * 1024,
        open(socket) {
            socket.subscribe(socket.data.topic);
        },
        message(socket, message) {
            if (socket.data.party === "echo") socket.send(message);
            if (socket.data.party === "room") server.publish(socket.data.topic, message);
        },
    },
});
