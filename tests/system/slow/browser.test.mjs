// A real browser: a page of the server's own origin talks with its room, a foreign one may not.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { chromium } from "playwright-core";

import { ECHO, MESSAGE_SERVER } from "../lib/parties.mjs";
import { config, lua } from "../lib/project.mjs";
import { REPOSITORY, runFesta, serverFor, serverForSuite } from "../lib/server.mjs";
import { within } from "../lib/wait.mjs";

const CHROMIUM = process.env.FESTA_TEST_CHROMIUM ?? "/usr/bin/chromium";

// Runs in the page: opens a socket, does what it is told, and tells what happened. It closes when
// it has got as many messages as it sent (one, when it posted) and its post has been answered.
async function inPage({ url, post, send = [] }) {
  const events = [];
  let missing = send.length + (post ? 2 : 0);
  return new Promise((done) => {
    const socket = new WebSocket(url);
    const happened = (what) => {
      events.push(what);
      if (--missing === 0) socket.close(4000, "seen");
    };
    socket.onopen = async () => {
      events.push("open");
      for (const message of send) socket.send(message);
      if (!post) return;
      const response = await fetch(post.url, { method: "POST", body: post.body });
      happened(`${response.status} ${await response.text()}`);
    };
    socket.onmessage = ({ data }) => happened(`message ${data}`);
    socket.onclose = ({ code, wasClean }) => {
      events.push(`close ${code} ${wasClean}`);
      done(events);
    };
  });
}

// What is posted goes to all event streams; "end" ends them, and "no more" keeps them away.
const NEWS = lua`
local News = {}

function News:onRequest(request)
  if request.method == "GET" then
    return self.over and Response(nil, { status = 204 }) or Response.events({ retry = 20 })
  end
  self.over = request.body == "no more"
  party.broadcast(request.body)
  if request.body == "end" or self.over then
    for connection in party.getConnections() do connection:close() end
  end
  return "published"
end

function News:onConnect(connection)
  self.came = (self.came or 0) + 1
  connection:send("welcome " .. self.came)
end

return News
`;

describe("a browser", () => {
  const files = { "parties/main.lua": MESSAGE_SERVER, "parties/echo.lua": ECHO, "parties/news.lua": NEWS };
  const server = serverForSuite(files);
  const open = serverForSuite({ ...files, "festa.lua": config({ cors: true, allowedOrigins: ["*"] }) });
  const own = serverForSuite(undefined, { directory: REPOSITORY });
  let browser;
  let foreign; // a page from somewhere else

  before(async () => {
    assert.ok(existsSync(CHROMIUM), `${CHROMIUM} is missing`);
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      headless: true,
      args: [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    });
    foreign = http.createServer((_, response) => response.end("<!doctype html><title>elsewhere</title>"));
    await new Promise((done) => foreign.listen(0, "127.0.0.1", done));
  });

  after(async () => {
    await browser?.close();
    foreign?.close();
  });

  const run = async (page, what) => within(page.evaluate(inPage, what), "the page", 60000);

  it("opens the room's URL, sees its own message come back by WebSocket", async () => {
    const path = `/parties/main/${server.room()}`;
    const page = await browser.newPage();
    const response = await page.goto(`${server.url}${path}`);
    assert.equal(response.status(), 200);
    assert.equal(await page.textContent("body"), "[]");
    const events = await run(page, {
      url: `ws://${server.host}${path}`,
      post: { url: path, body: JSON.stringify({ message: "Hello!" }) },
    });
    assert.deepEqual(events.sort(), ["200 OK", "close 4000 true", "message Hello!", "open"].sort());
    await page.reload();
    assert.equal(await page.textContent("body"), '["Hello!"]');
    await page.close();
  });

  it("text of all of Unicode, and a megabyte", async () => {
    const page = await browser.newPage();
    await page.goto(`${server.url}/parties/main/${server.room()}`);
    const send = ["zwei ü 🎉", "x".repeat(1024 * 1024), ""];
    const events = await run(page, { url: `ws://${server.host}/parties/echo/${server.room()}`, send });
    assert.deepEqual(events, ["open", ...send.map((text) => `message ${text}`), "close 4000 true"]);
    await page.close();
  });

  it("shows a page of public/, which talks with its room", async () => {
    const page = await browser.newPage();
    const problems = [];
    page.on("pageerror", (error) => problems.push(error.message));
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    const room = own.room();
    const response = await page.goto(`${own.url}/messages.html#${room}`);
    assert.equal(await response.text(), await readFile(`${REPOSITORY}/public/messages.html`, "utf8"));
    await page.waitForSelector(".status.open");
    await page.fill("#message", "Hello from a page!");
    await page.click("#send button");
    await page.waitForSelector("#messages li.new");
    assert.match(await page.textContent("#messages li.new"), /Hello from a page!$/);
    assert.equal(await own.text(`/parties/main/${room}`), '["Hello from a page!"]');

    const again = await page.goto(`${own.url}/messages.html?again#${room}`);
    assert.equal(again.status(), 200);
    const reloaded = await page.reload();
    assert.equal(reloaded.status(), 200);
    await own.waitForLog(({ path, status }) => path === "/messages.html" && status === 304, "a reload that is revalidated");
    assert.deepEqual(problems, []);
    await page.close();
  });

  for (const template of ["minimal", "chat", "game"]) {
    it(`the page of the template ${template} is in the room that its address names, whatever the letters`, async (t) => {
      const folder = await mkdtemp(join(tmpdir(), "festa-browser-"));
      t.after(() => rm(folder, { recursive: true, force: true }));
      assert.equal((await runFesta(["init", folder, "--template", template])).code, 0);
      const server = await serverFor(t, undefined, { directory: folder });
      const page = await browser.newPage();
      t.after(() => page.close());
      const inRoom = async (room) => {
        await page.waitForFunction((text) => document.querySelector("#status").textContent.startsWith(text), `room ${room}`);
        await server.waitForLog((line) => line.msg === "socket opened" && line.room === room, `a socket in ${room}`);
      };
      await page.goto(`${server.url}/#café`);
      await inRoom("café");
      await page.evaluate(() => void (location.hash = "zoë/2"));
      await inRoom("zoë-2");
      await page.evaluate(() => void (location.hash = "100%"));
      await inRoom("lobby");
    });
  }

  it("hears a room's events, comes again when they end, and stays away when it is told to", async () => {
    const page = await browser.newPage();
    const path = `/parties/news/${server.room()}`;
    await page.goto(`${server.url}/parties/main/${server.room()}`);
    await page.evaluate((url) => {
      globalThis.heard = [];
      globalThis.source = new EventSource(url);
      source.onmessage = ({ data }) => heard.push(data);
    }, path);
    const heard = (n) => page.waitForFunction((count) => heard.length >= count, n, { timeout: 60000 });
    await heard(1);
    await server.request(path, { method: "POST", body: "two\nlines, ü 🎉" });
    await heard(2);
    await server.request(path, { method: "POST", body: "end" });
    await heard(4);
    await server.request(path, { method: "POST", body: "no more" });
    await page.waitForFunction(() => source.readyState === EventSource.CLOSED, undefined, { timeout: 60000 });
    assert.deepEqual(await page.evaluate(() => heard), ["welcome 1", "two\nlines, ü 🎉", "end", "welcome 2", "no more"]);
    await page.close();
  });

  it("a page of another origin gets no socket and no answer", async () => {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${foreign.address().port}/`);
    const path = `/parties/main/${server.room()}`;
    assert.deepEqual(await run(page, { url: `ws://${server.host}${path}` }), ["close 1006 false"]);
    const fetched = await within(
      page.evaluate((url) => fetch(url).then((r) => r.text(), () => "refused"), `${server.url}${path}`),
      "the page's fetch",
    );
    assert.equal(fetched, "refused");
    await page.close();
  });

  it("a page of another origin gets both, where the project allows it", async () => {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${foreign.address().port}/`);
    const path = `/parties/main/${open.room()}`;
    const events = await run(page, {
      url: `ws://${open.host}${path}`,
      post: { url: `${open.url}${path}`, body: JSON.stringify({ message: "from afar" }) },
    });
    assert.deepEqual(events.sort(), ["200 OK", "close 4000 true", "message from afar", "open"].sort());
    const put = await within(
      page.evaluate(
        (url) =>
          fetch(url, { method: "PUT", headers: { "X-Own": "1", "Content-Type": "application/json" }, body: "{}" }).then(
            async (r) => `${r.status} ${await r.text()}`,
            () => "refused",
          ),
        `${open.url}${path}`,
      ),
      "the page's fetch",
    );
    assert.equal(put, "405 Method not allowed", "a request that needs a preflight");
    await page.close();
  });
});
