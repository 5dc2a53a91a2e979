// parties/tictactoe.lua, arena.lua

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Client, exampleServer, refusesNonsense } from "../lib/examples.mjs";

describe("tic-tac-toe", () => {
  const server = exampleServer();
  const table = () => `tictactoe/${server.room()}`;
  const moved = (board) => (game) => game.board?.join("") === board;

  // Plays cells in turn, X first.
  async function play(players, cells) {
    let n = 0;
    for (const cell of cells) {
      const player = players[n++ % 2];
      player.send({ cell });
      for (const client of players) await client.find((game) => game.board?.[cell - 1] !== "" && game.board?.filter(Boolean).length === n);
    }
  }

  it("two play, a third one watches", async (t) => {
    const room = table();
    const x = await Client.join(t, server, room, { _pk: "x" });
    const alone = await x.next();
    assert.deepEqual([alone.you, alone.seats], ["X", { X: "here", O: "free" }]);
    x.send({ cell: 1 });
    assert.match((await x.next()).error, /wait for somebody/);
    const o = await Client.join(t, server, room, { _pk: "o" });
    assert.equal((await o.next()).you, "O");
    const watcher = await Client.join(t, server, room, { _pk: "w" });
    assert.equal((await watcher.next()).you, "");

    o.send({ cell: 1 });
    assert.equal((await o.find((message) => message.error)).error, "it is not your turn");
    watcher.send({ cell: 1 });
    assert.equal((await watcher.find((message) => message.error)).error, "you are watching");
    await play([x, o], [1, 4, 2, 5]);
    x.send({ cell: 4 });
    assert.equal((await x.find((message) => message.error)).error, "that cell is taken");
    x.send({ cell: 3 });
    for (const client of [x, o, watcher]) {
      const game = await client.find(({ winner }) => winner);
      assert.deepEqual([game.winner, game.line, game.board.join("")], ["X", [1, 2, 3], "XXXOO"]);
    }
    o.send({ cell: 9 });
    assert.equal((await o.find((message) => message.error)).error, "the game is over");
    o.send({ again: true });
    const next = await x.find(moved(""));
    assert.deepEqual([next.turn, next.winner, next.line], ["O", "", []]);
  });

  it("a draw", async (t) => {
    const room = table();
    const players = [await Client.join(t, server, room, { _pk: "x" }), await Client.join(t, server, room, { _pk: "o" })];
    await play(players, [1, 2, 3, 5, 4, 6, 8, 7]);
    players[0].send({ cell: 9 });
    assert.equal((await players[1].find(({ winner }) => winner)).winner, "nobody");
  });

  it("who comes back has the seat, the mark and the board", async (t) => {
    const room = table();
    const x = await Client.join(t, server, room, { _pk: "x" });
    const o = await Client.join(t, server, room, { _pk: "o" });
    await play([x, o], [5, 1]);
    x.socket.terminate();
    await o.find(({ seats }) => seats?.X === "away");
    const other = await Client.join(t, server, room, { _pk: "other" });
    assert.equal((await other.next()).you, "", "the seat is kept");
    const again = await Client.join(t, server, room, { _pk: "x" });
    const game = await again.next();
    assert.deepEqual([game.you, game.board[4], game.board[0], game.turn, game.seats.X], ["X", "X", "O", "X", "here"]);
    const tab = await Client.join(t, server, room, { _pk: "x" });
    assert.equal((await again.end()).code, 4409, "a second tab takes over");
    assert.equal((await tab.next()).you, "X");
    tab.send({ cell: 9 });
    await o.find((message) => message.board?.[8] === "X");
  });

  it("says what it does not understand", async (t) => {
    const client = await Client.join(t, server, table());
    await refusesNonsense(client, ['{"cell":0}', '{"cell":10}', '{"cell":1.5}', '{"cell":"1"}', '{"again":true}', '{"again":1}']);
  });
});

describe("arena", () => {
  const server = exampleServer();

  it("moves who wants to move, and stops at the walls", async (t) => {
    const room = `arena/${server.room()}`;
    const anna = await Client.join(t, server, room, { name: "Anna" });
    const welcome = await anna.next();
    assert.deepEqual(welcome, { you: 1, width: 800, height: 500, hz: 20 });
    assert.deepEqual(await anna.next(), { names: { 1: "Anna" } });
    anna.send({ x: -1, y: -1 });
    const ben = await Client.join(t, server, room, { name: "Ben" });
    assert.equal((await ben.next()).you, 2);
    assert.deepEqual((await ben.next()).names, { 1: "Anna", 2: "Ben" });
    const first = await ben.find(({ players }) => players?.length === 2);
    assert.equal(first.star.length, 2);
    await ben.find(({ players }) => players?.some(([n, x, y]) => n === 1 && x === 14 && y === 14));
    anna.send({ x: 1, y: 0 });
    const { players } = await ben.find(({ players }) => players?.some(([n, x]) => n === 1 && x >= 36));
    assert.equal(players.find(([n]) => n === 1)[2], 14);
    await anna.leave();
    assert.deepEqual((await ben.find(({ names }) => names && !names[1])).names, { 2: "Ben" });
    await ben.find(({ players }) => players?.length === 1);
  });

  it("who reaches the star has a point", async (t) => {
    const player = await Client.join(t, server, `arena/${server.room()}`, { name: "Anna" });
    for (;;) {
      const { star, players } = await player.find((message) => message.players);
      const [, x, y, score] = players[0];
      if (score > 0) break;
      const [dx, dy] = [star[0] - x, star[1] - y];
      const length = Math.hypot(dx, dy) || 1;
      player.send({ x: dx / length, y: dy / length });
    }
  });

  it("wants a name and directions", async (t) => {
    const room = `arena/${server.room()}`;
    assert.equal((await (await Client.join(t, server, room)).end()).code, 4400);
    const client = await Client.join(t, server, room, { name: "Anna" });
    await refusesNonsense(client, ['{"x":2,"y":0}', '{"x":0}', '{"x":"1","y":0}']);
  });
});
