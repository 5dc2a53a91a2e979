// The files of public/: which are served, how, and that nothing else can be reached.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, open, rename, stat, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import net from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { Agent, request as undici } from "undici";

import { ECHO } from "./lib/parties.mjs";
import { config, link } from "./lib/project.mjs";
import { requestBytes } from "./lib/raw.mjs";
import { SANITIZED, runFesta, serverFor, serverForSuite } from "./lib/server.mjs";
import { Changes, poll } from "./lib/wait.mjs";
import { writeProject } from "./lib/project.mjs";

const CANARY = "canary-7d1f";
const HOME = "<!doctype html><title>home</title>";
const MIB = 1024 * 1024;

const FILES = {
  "parties/main.lua": `local name = "${CANARY} of a script"\n${ECHO}`,
  "lib/module.lua": `-- ${CANARY} of a module`,
  "canary.txt": `${CANARY} of the project`,
  "public-other/canary.txt": `${CANARY} of a folder with a similar name`,
  ".env": `SECRET="${CANARY} of the environment"`,
  "public/index.html": HOME,
  "public/app.js": "let x = 1;\n",
  "public/style.css": "a {}\n",
  "public/data.json": "{}",
  "public/notes.txt": "0123456789",
  "public/empty.txt": "",
  "public/logged.txt": "logged",
  "public/noext": "what is this",
  "public/a b ü.txt": "odd name",
  "public/docs/index.html": "<p>docs",
  "public/docs/deep/page.html": "<p>page",
  "public/bare/x.txt": "x",
  "public/.hidden": CANARY,
  "public/.git/config": CANARY,
  "public/docs/.env": CANARY,
  "public/.well-known/security.txt": "Contact: mailto:a@example.org",
  "public/.well-known/.secret": CANARY,
  "public/link-in.txt": link("notes.txt"),
  "public/link-docs": link("docs"),
  "public/link-out.txt": link("../canary.txt"),
  "public/link-up": link(".."),
  "public/link-root": link("/"),
  "public/link-etc": link("/etc/passwd"),
  "public/link-proc": link("/proc/self/environ"),
  "public/docs/link-out": link("../../canary.txt"),
  "public/link-chain": link("link-up/canary.txt"),
  "public/link-loop": link("link-loop"),
  "public/bad/index.html": link("../../canary.txt"),
};

// Whatever is sent, as it is sent: no client library may tidy it up.
async function raw(server, path, { method = "GET", headers = {} } = {}) {
  const connection = await server.connect();
  connection.write(requestBytes({ method, path, host: server.host, headers: { Connection: "close", ...headers } }));
  const response = await connection.response({ method });
  connection.destroy();
  return response;
}

describe("static files", () => {
  const server = serverForSuite(FILES);

  it("have a type, a date, an ETag, and are to be revalidated", async () => {
    for (const [path, type, text] of [
      ["/", "text/html; charset=utf-8", HOME],
      ["/index.html", "text/html; charset=utf-8", HOME],
      ["/app.js?v=1", "text/javascript; charset=utf-8", "let x = 1;\n"],
      ["/style.css", "text/css; charset=utf-8", "a {}\n"],
      ["/data.json", "application/json", "{}"],
      ["/notes.txt", "text/plain; charset=utf-8", "0123456789"],
      ["/empty.txt", "text/plain; charset=utf-8", ""],
      ["/noext", "application/octet-stream", "what is this"],
      ["/a%20b%20%C3%BC.txt", "text/plain; charset=utf-8", "odd name"],
      ["/docs/", "text/html; charset=utf-8", "<p>docs"],
      ["/docs/deep/page.html", "text/html; charset=utf-8", "<p>page"],
      ["/.well-known/security.txt", "text/plain; charset=utf-8", "Contact: mailto:a@example.org"],
      ["/link-in.txt", "text/plain; charset=utf-8", "0123456789"],
      ["/link-docs/", "text/html; charset=utf-8", "<p>docs"],
    ]) {
      const response = await raw(server, path);
      assert.deepEqual([response.status, response.text], [200, text], path);
      assert.equal(response.header("content-type"), type, path);
      assert.equal(response.header("cache-control"), "no-cache");
      assert.equal(response.header("x-content-type-options"), "nosniff");
      assert.equal(response.header("accept-ranges"), "bytes");
      assert.match(response.header("etag"), /^(W\/)?"[0-9a-f-]+"$/);
      assert.match(response.header("last-modified"), / GMT$/);
    }
  });

  it("are for GET and HEAD", async () => {
    const head = await raw(server, "/notes.txt", { method: "HEAD" });
    assert.deepEqual([head.status, head.header("content-length"), head.body.length], [200, "10", 0]);
    for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
      const response = await raw(server, "/notes.txt", { method });
      assert.deepEqual([response.status, response.header("allow")], [405, "GET, HEAD"], method);
      assert.equal((await raw(server, "/nothing", { method })).status, 404, method);
    }
  });

  it("of a folder: index.html, behind a redirect to its /", async () => {
    for (const [path, location] of [
      ["/docs", "/docs/"],
      ["/docs?a=b&c=/d", "/docs/?a=b&c=/d"],
      ["/docs?", "/docs/?"],
      ["/%64ocs", "/%64ocs/"],
      ["/link-docs", "/link-docs/"],
    ]) {
      const response = await raw(server, path);
      assert.deepEqual([response.status, response.header("location")], [301, location], path);
    }
    for (const path of ["/bare", "/bare/", "/docs/deep", "/bad", "/bad/", "//docs", "/docs//", "//evil.example/docs"]) {
      assert.equal((await raw(server, path)).status, 404, path);
    }
    const followed = await undici(`${server.url}/docs?x`, { maxRedirections: 1 });
    assert.equal(await followed.body.text(), "<p>docs");
  });

  it("lead nowhere else, however the path is written", async () => {
    const dots = ["..", "%2e%2e", "%2E%2e", ".%2e", "%2e.", "%252e%252e", "..;", "%c0%ae%c0%ae", "%u002e%u002e", "..%00", "...", "%2e%2e%2f.."];
    const slashes = ["/", "%2f", "%2F", "\\", "%5c", "%255c", "%252f", "//", "/./", "%c0%af", "/%2f"];
    const paths = ["link-out.txt", "link-up/canary.txt", "link-up/festa.lua", "link-root/etc/passwd", "link-etc", "link-proc",
      "docs/link-out", "link-chain", "link-loop", "link-loop/x", "bad/index.html", ".hidden", ".git/config", "docs/.env", "%2ehidden",
      "docs/%2eenv", ".well-known/.secret", ".well-known/%2esecret", ".well-known/../.hidden", "notes.txt%00", "notes.txt%00.html",
      "notes.txt/", "notes.txt/.", "notes.txt/..", "canary.txt", "parties/main.lua", "lib/module.lua", "public/notes.txt", ".env",
      "link-docs/link-out", "link-docs/../canary.txt", "-other/canary.txt", "%2e/canary.txt", "docs/%0d%0aX-Evil:%201", "%ff%fe",
      "link-up/public/notes.txt", "link-root/proc/self/environ", "link-in.txt/../canary.txt"].map((path) => `/${path}`);
    for (const dot of dots) {
      for (const slash of slashes) {
        paths.push(`/${dot}${slash}canary.txt`, `/docs${slash}${dot}${slash}${dot}${slash}canary.txt`, `/${dot}${slash}.env`);
        paths.push(`/${slash}${dot}${slash}parties/main.lua`, `/.well-known${slash}${dot}${slash}${dot}${slash}canary.txt`);
      }
    }
    const connection = await server.connect(); // all on one: none is so wrong that it ends it
    for (const path of paths) {
      connection.send({ path });
      const response = await connection.response();
      const all = `${response.lines.join("\n")}\n${response.text}`;
      assert.ok(!all.includes(CANARY) && !all.includes("root:") && !all.includes("PATH="), `${path}: ${all}`);
      assert.ok([400, 404].includes(response.status), `${path}: ${response.status}`);
      assert.equal(response.header("x-evil"), undefined);
    }
    assert.ok(paths.length > 600);
    connection.destroy();
    // other forms of a target
    for (const target of [`http://${server.host}/../canary.txt`, `http://${server.host}/..%2fcanary.txt`, "canary.txt", "../canary.txt", "/canary.txt#/../", "*"]) {
      const response = await raw(server, target);
      assert.ok([400, 404].includes(response.status), `${target}: ${response.status}`);
    }
    assert.equal((await raw(server, `http://${server.host}/notes.txt`)).text, "0123456789");
  });

  it("a FIFO, a socket or a folder is none, and holds up nobody", async () => {
    const folder = join(server.project.directory, "public");
    execFileSync("mkfifo", [join(folder, "fifo.txt")]);
    const listener = net.createServer().listen(join(folder, "socket"));
    try {
      for (let i = 0; i < 20; i++) {
        assert.equal((await raw(server, "/fifo.txt")).status, 404);
        assert.equal((await raw(server, "/socket")).status, 404);
      }
      assert.equal((await raw(server, "/fifo.txt/")).status, 404);
      assert.equal((await raw(server, "/notes.txt")).status, 200);
    } finally {
      listener.close();
    }
  });

  it("are sent again only if they have changed", async () => {
    const file = join(server.project.directory, "public/changes.txt");
    await writeFile(file, "first");
    await utimes(file, 784111777, 784111777);
    const ask = (headers) => raw(server, "/changes.txt", { headers });
    const first = await ask({});
    const etag = first.header("etag");
    const date = first.header("last-modified");
    assert.match(etag, /^"/);
    assert.equal(date, "Sun, 06 Nov 1994 08:49:37 GMT");
    for (const headers of [
      { "If-None-Match": etag },
      { "If-None-Match": `W/${etag}` },
      { "If-None-Match": `"x", ${etag}` },
      { "If-None-Match": "*" },
      { "If-Modified-Since": date },
      { "If-None-Match": etag, "If-Modified-Since": "Sun, 06 Nov 1980 08:49:37 GMT" },
      { "If-None-Match": etag, Range: "bytes=0-1" },
    ]) {
      const response = await ask(headers);
      assert.deepEqual([response.status, response.text, response.header("etag")], [304, "", etag], JSON.stringify(headers));
    }
    for (const headers of [{ "If-None-Match": '"x"', "If-Modified-Since": date }, { "If-Modified-Since": "Sun, 06 Nov 1994 08:49:36 GMT" }, { "If-Modified-Since": "?" }]) {
      assert.equal((await ask(headers)).status, 200, JSON.stringify(headers));
    }
    assert.equal((await ask({ "If-Match": '"x"' })).status, 412);
    assert.equal((await ask({ "If-Unmodified-Since": "Sun, 06 Nov 1994 08:49:36 GMT" })).status, 412);
    assert.equal((await ask({ "If-Match": etag })).status, 200);

    await writeFile(`${file}.new`, "other");
    await utimes(`${file}.new`, 784111777, 784111777); // the same size and time, but another file
    await rename(`${file}.new`, file);
    const changed = await ask({ "If-None-Match": etag });
    assert.deepEqual([changed.status, changed.text], [200, "other"]);
    assert.notEqual(changed.header("etag"), etag);
    assert.equal((await ask({ Range: "bytes=0-1", "If-Range": etag })).text, "other");
    assert.equal((await ask({ Range: "bytes=0-1", "If-Range": changed.header("etag") })).text, "ot");
  });

  it("can be had in parts", async () => {
    const ask = (range) => raw(server, "/notes.txt", { headers: { Range: range } });
    for (const [range, status, text, part] of [
      ["bytes=0-0", 206, "0", "bytes 0-0/10"],
      ["bytes=3-5", 206, "345", "bytes 3-5/10"],
      ["bytes=7-", 206, "789", "bytes 7-9/10"],
      ["bytes=-2", 206, "89", "bytes 8-9/10"],
      ["bytes=0-99", 206, "0123456789", "bytes 0-9/10"],
      ["bytes=0-1,3-4", 200, "0123456789", undefined],
      ["bytes=5-2", 200, "0123456789", undefined],
      ["lines=1-2", 200, "0123456789", undefined],
      ["bytes=10-", 416, "The file is shorter", "bytes */10"],
      ["bytes=-0", 416, "The file is shorter", "bytes */10"],
    ]) {
      const response = await ask(range);
      assert.deepEqual([response.status, response.text, response.header("content-range")], [status, text, part], range);
    }
    const head = await raw(server, "/notes.txt", { method: "HEAD", headers: { Range: "bytes=0-0" } });
    assert.deepEqual([head.status, head.header("content-length")], [200, "10"]);
  });

  it("come one behind the other in a pipeline, rooms between them", async () => {
    const connection = await server.connect();
    const paths = ["/notes.txt", "/party/r", "/", "/nothing", "/docs", "/app.js", "/party/r"];
    connection.write(Buffer.concat(paths.map((path) => requestBytes({ path, host: server.host }))));
    const answers = [];
    for (const _ of paths) answers.push(await connection.response());
    assert.deepEqual(
      answers.map(({ status, text }) => `${status} ${text}`.trim()),
      ["200 0123456789", "200 0", `200 ${HOME}`, "404 Not found", "301", "200 let x = 1;", "200 0"],
    );
    connection.destroy();
  });

  it("have their line in the log", async () => {
    const from = server.lines.length;
    await raw(server, "/logged.txt?token=secret", { headers: { Range: "bytes=0-0" } });
    const line = await server.waitForLog(({ msg, path }) => msg === "request" && path === "/logged.txt", "the request", { from });
    assert.deepEqual([line.method, line.status, typeof line.ms, line.party], ["GET", 206, "number", undefined]);
    await raw(server, "/nothing-here");
    assert.equal((await server.waitForLog(({ path }) => path === "/nothing-here", "the request", { from })).status, 404);
  });

  it("don't shadow rooms, nor are they shadowed", async () => {
    const folder = join(server.project.directory, "public/parties/main");
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "index.html"), "a page");
    await writeFile(join(folder, "r"), "a file");
    assert.equal(await server.text("/parties/main/r"), "0");
    assert.equal(await server.text("/parties/main/"), "a page");
  });
});

describe("a 404.html", () => {
  const server = serverForSuite({
    ...FILES,
    "public/404.html": "<p>lost",
    "festa.lua": config({ cors: true }),
  });

  it("is the answer to what is not there, with 404", async () => {
    for (const path of ["/nothing", "/nothing/", "/../x", "/.env", "/bare/", "/link-out.txt", "/parties/main", "/%zz"]) {
      const response = await raw(server, path, { headers: { Range: "bytes=0-0", "If-None-Match": "*" } });
      assert.deepEqual([response.status, response.text], [404, "<p>lost"], path);
      assert.equal(response.header("content-type"), "text/html; charset=utf-8");
      assert.equal(response.header("etag"), undefined);
    }
    const head = await raw(server, "/nothing", { method: "HEAD" });
    assert.deepEqual([head.status, head.header("content-length")], [404, "7"]);
    assert.equal((await raw(server, "/parties/nope/R")).text, "Party nope not found");
  });

  it("and every file may be read by all pages with cors", async () => {
    for (const [path, method, headers, status] of [
      ["/notes.txt", "GET", {}, 200],
      ["/notes.txt", "GET", { Range: "bytes=0-0" }, 206],
      ["/notes.txt", "GET", { Range: "bytes=99-" }, 416],
      ["/notes.txt", "GET", { "If-None-Match": "*" }, 304],
      ["/notes.txt", "POST", {}, 405],
      ["/docs", "GET", {}, 301],
      ["/nothing", "GET", {}, 404],
    ]) {
      const response = await raw(server, path, { method, headers: { Origin: "https://app.example", ...headers } });
      assert.deepEqual([response.status, response.header("access-control-allow-origin")], [status, "*"], path);
    }
  });
});

describe("singlePageApp", () => {
  const server = serverForSuite({ ...FILES, "festa.lua": config({ singlePageApp: true }) });
  const PAGE = { Accept: "text/html,application/xhtml+xml,*/*;q=0.8" };

  it("answers the navigations of browsers with index.html", async () => {
    for (const path of ["/rooms", "/rooms/7", "/rooms/7/", "/link-out", "/parties/main", "/bare"]) {
      const response = await raw(server, path, { headers: PAGE });
      assert.deepEqual([response.status, response.text], [200, HOME], path);
      assert.equal(response.header("vary"), "Accept");
      const again = await raw(server, path, { headers: { ...PAGE, "If-None-Match": response.header("etag") } });
      assert.equal(again.status, 304, path);
    }
  });

  it("and nothing else", async () => {
    for (const [path, headers, method] of [
      ["/rooms", {}],
      ["/rooms", { Accept: "*/*" }],
      ["/missing.js", PAGE],
      ["/rooms", PAGE, "POST"],
      ["/../rooms", PAGE],
      ["/.hidden", PAGE],
      ["/%00", PAGE],
    ]) {
      assert.equal((await raw(server, path, { headers, method })).status, 404, `${method} ${path}`);
    }
    assert.equal((await raw(server, "/notes.txt", { headers: PAGE })).text, "0123456789");
    assert.equal((await raw(server, "/parties/nope/R", { headers: PAGE })).status, 404);
  });
});

// A client that reads only when it is told to, and counts.
class Download {
  head = "";
  received = 0;
  ended = undefined;
  changes = new Changes();

  constructor(server, path, headers = {}) {
    this.socket = net.connect({ host: server.hostname, port: server.port });
    this.socket.on("data", (data) => {
      if (!this.head.includes("\r\n\r\n")) {
        const text = data.toString("latin1");
        const end = text.indexOf("\r\n\r\n");
        this.head += end < 0 ? text : text.slice(0, end + 4);
        if (end >= 0) this.received = data.length - end - 4;
      } else {
        this.received += data.length;
      }
      this.changes.changed();
    });
    this.socket.on("end", () => this.#end("end"));
    this.socket.on("error", () => this.#end("reset"));
    this.socket.write(requestBytes({ path, host: server.host, headers: { Connection: "close", ...headers } }));
  }

  #end(how) {
    this.ended ??= how;
    this.changes.changed();
  }

  until(bytes) {
    return this.changes.until(() => (this.received >= bytes ? true : undefined), `${bytes} bytes`, {
      describe: () => `(${this.received}, ${this.ended})`,
    });
  }

  begun() {
    return this.until(1);
  }

  over() {
    return this.changes.until(() => this.ended, "the download's end", { describe: () => `(${this.received})` });
  }
}

describe("a large file", () => {
  const SIZE = 100 * MIB;
  const server = serverForSuite({ "parties/main.lua": ECHO, "public/index.html": HOME, "public/large.bin": "" }, { measured: true });
  const large = () => join(server.project.directory, "public/large.bin");
  const agent = new Agent({ connections: 1, pipelining: 1 });
  after(() => agent.close());

  before(async () => {
    await truncate(large(), SIZE); // sparse: it takes no room on the disk
    const file = await open(large(), "r+");
    for (let mib = 0; mib < 100; mib++) await file.write(`piece ${mib}`, mib * MIB);
    await file.close();
  });

  it("comes whole, in parts, and over one connection", async () => {
    for (const [headers, status, from, length] of [
      [{}, 200, 0, SIZE],
      [{ range: `bytes=${5 * MIB}-` }, 206, 5 * MIB, 95 * MIB],
      [{ range: `bytes=${7 * MIB}-${9 * MIB}` }, 206, 7 * MIB, 2 * MIB + 1],
      [{ range: "bytes=-8388608" }, 206, 92 * MIB, 8 * MIB],
    ]) {
      const response = await undici(`${server.url}/large.bin`, { headers, dispatcher: agent });
      assert.deepEqual([response.statusCode, response.headers["content-length"]], [status, String(length)]);
      let at = from;
      for await (const chunk of response.body) {
        for (let mib = Math.ceil(at / MIB); mib * MIB < at + chunk.length - 8; mib++) {
          const mark = `piece ${mib}`;
          const offset = mib * MIB - at;
          assert.equal(chunk.subarray(offset, offset + mark.length).toString(), mark.slice(0, chunk.length - offset));
        }
        at += chunk.length;
      }
      assert.equal(at, from + length);
    }
    assert.equal((await undici(`${server.url}/large.bin`, { method: "HEAD", dispatcher: agent })).headers["content-length"], String(SIZE));
  });

  it("takes little memory on its way to readers that are slow, while rooms answer", async () => {
    const room = `/party/${server.room()}`;
    await server.text(room);
    const before = server.memory();
    const slow = Array.from({ length: 30 }, () => new Download(server, "/large.bin"));
    for (const download of slow) {
      await download.begun();
      download.socket.pause();
    }
    const socket = await server.socket(room);
    for (let i = 0; i < 50; i++) {
      socket.text(`ping ${i}`);
      assert.equal((await socket.frame()).payload.toString(), `ping ${i}`);
      assert.equal(await server.text(room), "1");
    }
    const waiting = server.memory() - before;
    for (const download of slow.slice(1)) download.socket.destroy();
    slow[0].socket.resume();
    await slow[0].over();
    assert.equal(slow[0].received, SIZE);
    const grown = server.memory() - before;
    // two pieces of 128 KiB for each at most, and what malloc and a sanitizer make of it
    assert.ok(waiting < (SANITIZED ? 160 : 40) * MIB, `${waiting} bytes for 30 slow readers`);
    assert.ok(grown < (SANITIZED ? 160 : 40) * MIB, `${grown} bytes afterwards`);
    await socket.leave();
  });

  it("that is replaced meanwhile comes as it was", async () => {
    const download = new Download(server, "/large.bin");
    await download.begun();
    download.socket.pause();
    await writeFile(`${large()}.new`, "new");
    await rename(large(), `${large()}.old`);
    await rename(`${large()}.new`, large());
    assert.equal(await server.text("/large.bin"), "new");
    download.socket.resume();
    await download.over();
    assert.equal(download.received, SIZE);
    await rename(`${large()}.old`, large());
  });

  it("that gets shorter meanwhile ends the connection, too early for its length", async () => {
    const file = join(server.project.directory, "public/shrinks.bin");
    await writeFile(file, "");
    await truncate(file, SIZE);
    const from = server.lines.length;
    const download = new Download(server, "/shrinks.bin");
    await download.begun();
    download.socket.pause();
    await truncate(file, 50 * MIB);
    download.socket.resume();
    await download.over();
    assert.match(download.head, new RegExp(`content-length: ${SIZE}`, "i"));
    assert.equal(download.received, 50 * MIB);
    await server.waitForLog(({ level, path }) => level === "warn" && path === "/shrinks.bin", "the warning", { from });
  });

  it("survives clients that leave in the middle, over and over", async () => {
    for (let round = 0; round < 3; round++) {
      const downloads = Array.from({ length: 10 }, () => new Download(server, "/large.bin"));
      await Promise.all(downloads.map((download, i) => download.until(i * 300000).then(() => download.socket.pause())));
      downloads.forEach(({ socket }, i) => (i % 2 ? socket.resetAndDestroy() : socket.destroy()));
    }
    assert.equal(await server.text("/"), HOME);
    const descriptors = () => execFileSync("ls", [`/proc/${server.pid}/fd`]).toString().split("\n").length;
    const few = await poll(async () => (descriptors() < 40 ? true : undefined), "descriptors that are closed");
    assert.ok(few);
  });
});

describe("SIGTERM during a download", () => {
  const files = { "parties/main.lua": ECHO, "public/large.bin": "" };

  async function begin(t, limits) {
    const server = await serverFor(t, { ...files, "festa.lua": config({ limits }) });
    await truncate(join(server.project.directory, "public/large.bin"), 100 * MIB);
    const download = new Download(server, "/large.bin", { Connection: "keep-alive" });
    await download.begun();
    download.socket.pause();
    server.signal("SIGTERM");
    await server.refuses();
    return { server, download };
  }

  it("lets it come to its end", async (t) => {
    const { server, download } = await begin(t, { closeTimeout: 60000 });
    download.socket.resume();
    await download.over();
    assert.deepEqual([download.received, download.ended], [100 * MIB, "end"]);
    assert.deepEqual(await server.ended(), { code: 0, signal: null });
    await server.stop({ signal: null });
  });

  it("but not for ever", async (t) => {
    const { server, download } = await begin(t, { closeTimeout: 100 });
    assert.deepEqual(await server.ended(), { code: 0, signal: null });
    await server.stop({ signal: null });
    download.socket.resume();
    await download.over();
    assert.ok(download.received < 100 * MIB);
  });
});

describe("the folder of static files", () => {
  it("need not be there, unless it was configured", async (t) => {
    const server = await serverFor(t, { "parties/main.lua": ECHO });
    assert.deepEqual([(await raw(server, "/")).status, (await raw(server, "/canary.txt")).status], [404, 404]);
  });

  it("may be another one, a link, or outside of the project", async (t) => {
    const server = await serverFor(t, {
      "parties/main.lua": ECHO,
      "canary.txt": CANARY,
      "web/dist/index.html": HOME,
      "public": link("web/dist"),
      "public-x": "",
    });
    assert.equal(await server.text("/"), HOME);
    const other = await writeProject({ "parties/main.lua": ECHO, "web/dist/a.txt": "a", "public/a.txt": "b", "festa.lua": config({ public: "web/dist" }) });
    t.after(other.remove);
    const second = await serverFor(t, undefined, { project: other });
    assert.equal(await second.text("/a.txt"), "a");
    const absolute = await serverFor(t, { "parties/main.lua": ECHO, "festa.lua": config({ public: join(other.directory, "web") }) });
    assert.equal(await absolute.text("/dist/a.txt"), "a");
  });

  it("stops the start when it is wrong", async () => {
    for (const [files, message] of [
      [{ "festa.lua": config({ public: "www" }) }, /public = "www"\) can't be read: No such file/],
      [{ "festa.lua": config({ public: "public" }) }, /public = "public"\) can't be read: No such file/],
      [{ "festa.lua": config({ public: "www" }), www: "a file" }, /public = "www"\) can't be opened: Not a directory/],
      [{ public: "a file" }, /public = "public"\) can't be opened: Not a directory/],
      [{ "festa.lua": config({ public: "." }) }, /would serve the project itself/],
      [{ "festa.lua": config({ public: ".." }) }, /would serve the project itself/],
      [{ "festa.lua": config({ public: "/" }) }, /would serve the project itself/],
      [{ "festa.lua": config({ public: "parties" }) }, /would serve parties/],
      [{ "lib/a/b.lua": "", "festa.lua": config({ public: "lib/a" }) }, /would serve lib/],
      [{ public: link("parties") }, /would serve parties/],
      [{ public: link(".") }, /would serve the project itself/],
      [{ "festa.lua": config({ public: "" }) }, /public is a text that is not empty/],
      [{ "festa.lua": config({ singlePageApp: "yes" }) }, /singlePageApp is true or false/],
    ]) {
      const project = await writeProject({ "parties/main.lua": ECHO, ...files });
      try {
        for (const command of ["run", "check"]) {
          const { code, stderr } = await runFesta([command, project.directory]);
          assert.equal(code, 1, stderr);
          assert.match(stderr, message);
        }
      } finally {
        await project.remove();
      }
    }
  });

  it("does not have the data folder in it", async (t) => {
    const project = await writeProject({ "parties/main.lua": ECHO, "public/there/a.txt": "a", "public-x/a.txt": "a" });
    t.after(project.remove);
    const folder = (name) => join(project.directory, name);
    for (const data of ["public", "public/there", "public/new", "public/there/../new"]) {
      for (const command of ["run", "check"]) {
        const { code, stderr } = await runFesta([command, project.directory, "--port", "0", "--data", folder(data)]);
        assert.equal(code, 1, stderr);
        assert.match(stderr, /public = "public" would serve the data folder; name a folder that holds nothing else/);
      }
    }
    const { code, stderr } = await runFesta(["check", project.directory, "--data", folder("public-x")]);
    assert.equal(code, 0, stderr);
  });

  it("is another one after a reload that names it, also for connections that are open", async (t) => {
    const server = await serverFor(t, { "parties/main.lua": ECHO, "public/index.html": HOME, "web/a.txt": "a", "web/404.html": "lost" });
    const connection = await server.connect();
    const ask = async (path) => {
      connection.send({ path, headers: { Accept: "text/html" } });
      const { status, text } = await connection.response();
      return `${status} ${text}`;
    };
    const reload = async (settings, msg) => {
      const from = server.lines.length;
      await writeFile(join(server.project.directory, "festa.lua"), config(settings));
      server.signal("SIGHUP");
      return server.waitForLog((line) => msg.test(line.msg), "the reload", { from });
    };
    assert.equal(await ask("/"), `200 ${HOME}`);
    await reload({ public: "web" }, /^reloaded/);
    await poll(async () => ((await ask("/a.txt")) === "200 a" ? true : undefined), "the other folder");
    assert.equal(await ask("/"), "404 lost");
    for (const folder of ["nowhere", "parties"]) {
      const { error } = await reload({ public: folder }, /could not be loaded/);
      assert.match(error, new RegExp(`public = "${folder}"`));
      assert.equal(await ask("/a.txt"), "200 a", "the folder before goes on");
    }
    await reload({ public: "public", singlePageApp: true }, /reloaded/);
    await poll(async () => ((await ask("/some/where")) === `200 ${HOME}` ? true : undefined), "the first folder");
    connection.destroy();
  });

  it("serves what is put there later", async (t) => {
    const server = await serverFor(t, { "parties/main.lua": ECHO, "public/a.txt": "a" });
    const folder = join(server.project.directory, "public");
    assert.equal((await raw(server, "/new/b.txt")).status, 404);
    await mkdir(join(folder, "new"));
    await writeFile(join(folder, "new/b.txt"), "b");
    await symlink("b.txt", join(folder, "new/c.txt"));
    assert.equal((await stat(join(folder, "new/c.txt"))).size, 1);
    assert.deepEqual([await server.text("/new/b.txt"), await server.text("/new/c.txt")], ["b", "b"]);
  });
});
