/**
 * What is measured: for each mode the load generator's arguments, and what one operation is. Most modes
 * report CPU, rate and latency; those with `memory` report bytes for each of what it names. Where a message stands for
 * several operations, `times` says how many.
 *
 * `rooms: true` marks what needs real rooms, which the kernel's floor does not have; `storage` what only Festa does:
 * it is measured beside SQLite alone (sqlite.c) with as many writers as it says, and on both cores.
 */

const party = (name) => ["--path", `/parties/${name}/room-%d`];
const VALUE_BYTES = 100;
const writers = (rooms, outstanding, name) => [
    "echo", "-c", String(rooms), "-r", String(rooms), "-P", String(outstanding), "-s", String(VALUE_BYTES), ...party(name),
];
const outstandingText = (outstanding) => (outstanding > 1 ? `, ${outstanding} outstanding` : "");
const puts = (rooms, outstanding = 1) => ({
    title: `${VALUE_BYTES} B put under a key, then answered to the sender; ${rooms} rooms, one writer each`
        + outstandingText(outstanding),
    operation: "messages", rooms: true, storage: { writers: rooms, outstanding, bytes: VALUE_BYTES },
    load: writers(rooms, outstanding, "store"),
});
// What the machine does of that when nothing is put: no server and no load can be faster, on the same cores.
const noPuts = (rooms) => ({
    title: `${VALUE_BYTES} B answered to the sender, nothing put; ${rooms} rooms, one writer each`,
    operation: "messages", rooms: true, storage: {}, load: writers(rooms, 1, "echo"),
});
const MANY_PORTS = ["--sources", "16"];   // more client addresses: ports in TIME_WAIT do not run out

export const MODES = {
    http1: {
        title: "GET of a room, 64 keep-alive connections", operation: "requests",
        load: ["http", "-c", "64", ...party("main")],
    },
    http16: {
        title: "GET of a room, 64 keep-alive connections with 16 requests pipelined", operation: "requests",
        load: ["http", "-c", "64", "-P", "16", ...party("main")],
    },
    post1: {
        // a room each: the list that a POST appends to stays short enough for any server
        title: "POST of a message that is appended and broadcast, 64 connections", operation: "requests",
        load: ["http", "-c", "64", "-r", "64", "-m", "POST", "-b", '{"message":"Hello!"}', ...party("main")],
        rooms: true,
    },
    echo: {
        title: "64 B of text answered to the sender, 100 connections", operation: "messages",
        load: ["echo", "-c", "100", ...party("echo")],
    },
    echo8: {
        title: "64 B of text answered to the sender, 100 connections, 8 outstanding", operation: "messages",
        load: ["echo", "-c", "100", "-P", "8", ...party("echo")],
    },
    fan1x1000: {
        title: "one publisher in a room of 1000", operation: "deliveries",
        load: ["fanout", "-r", "1", "-c", "1000", ...party("room")],
    },
    fan100x10: {
        title: "one publisher in each of 100 rooms of 10", operation: "deliveries",
        load: ["fanout", "-r", "100", "-c", "10", ...party("room")],
    },
    fanall10x100: {
        title: "10 rooms of 100 where everyone publishes", operation: "deliveries",
        load: ["fanout", "-r", "10", "-c", "100", "--all", ...party("room")],
    },
    fanrate: {
        title: "10 rooms of 100, 20,000 deliveries/s offered", operation: "deliveries",
        load: ["fanout", "-r", "10", "-c", "100", "-q", "20", ...party("room")],
    },
    large: {
        title: "echo of 1 MiB of text, one connection", operation: "messages",
        load: ["large", ...party("echo")],
    },
    churn: {
        title: "connect, upgrade, one echo, close handshake; 64 at a time", operation: "cycles",
        load: ["churn", "-c", "64", ...MANY_PORTS, ...party("echo")],
    },
    put1: puts(1),
    put64: puts(64),
    put1000: puts(1000),
    put64x8: puts(64, 8),
    put1000x8: puts(1000, 8),
    noput64: noPuts(64),
    noput1000: noPuts(1000),
    hotget: {
        title: "get of a value that the room knows, 1,000 in one handler", operation: "messages", times: 1000,
        rooms: true, storage: {}, load: ["echo", "-c", "4", "-r", "4", "-P", "4", ...party("hotget")],
    },
    idle: {
        title: "10,000 sockets in 1,000 rooms that exist already", memory: "socket", rooms: true,
        before: ["rooms", "-n", "1000", "-c", "16", ...party("idle")],
        load: ["idle", "-c", "10000", "-r", "1000", "--settle", "2", ...MANY_PORTS, ...party("idle")],
    },
    rooms: {
        title: "20,000 rooms of the message server, each touched by one GET", memory: "room", rooms: true,
        load: ["rooms", "-n", "20000", "-c", "16", "--settle", "2", ...party("main")],
    },
};
