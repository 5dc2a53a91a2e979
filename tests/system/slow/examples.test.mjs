// The pages of public/ in a real browser: two of the same room see each other, nothing is complained of, nothing is
// wider than a phone. FESTA_TEST_SHOTS=FOLDER keeps pictures of what they looked like.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { existsSync, mkdirSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { chromium } from "playwright-core";

import { REPOSITORY, serverForSuite } from "../lib/server.mjs";
import { DEADLINE } from "../lib/wait.mjs";

const CHROMIUM = process.env.FESTA_TEST_CHROMIUM ?? "/usr/bin/chromium";
const SHOTS = process.env.FESTA_TEST_SHOTS;

const LOOKS = {
  light: [{ width: 1100, height: 760 }, "light"],
  dark: [{ width: 1100, height: 760 }, "dark"],
  phone: [{ width: 390, height: 844 }, "light"],
};

const VARIABLES = { WEBHOOK_SECRET: "of the hook", ADMIN_TOKEN: "of the operator" };

// Where a page is that is no file.
const PLACES = { guestbook: (room) => `parties/guestbook/${room}` };

// What each pair of pages does: a and b are two people's.
const SCENES = {
  async messages(a, b) {
    for (const [page, text] of [[a, "Hello from here!"], [b, "And from there: <b>no HTML</b> ü🎉"]]) {
      await page.fill("#message", text);
      await page.click("#send button");
      for (const other of [a, b]) await other.getByText(text).waitFor();
    }
  },
  async chat(a, b) {
    await a.locator("#people li:nth-child(2)").waitFor();
    for (const [page, text] of [[a, "Is the oven on?"], [b, "Since seven. Bring the dough whenever you like, it wants an hour."], [a, "On my way 🎉"]]) {
      await page.fill("#text", text);
      await page.click("#send button");
      for (const other of [a, b]) await other.locator("#messages").getByText(text).waitFor();
    }
    await b.reload();
    await b.getByText("On my way").waitFor();
  },
  async topics(a, b) {
    await a.locator('[aria-pressed=true]:text("weather")').waitFor();
    await b.locator('[aria-pressed=true]:text("weather")').waitFor();
    await a.click('#topics button:text("sport")');
    await a.locator('[aria-pressed=true]:text("sport")').waitFor();
    for (const [topic, text] of [["sport", "One all at half time"], ["weather", "Thunder in the evening"], ["news", "The bridge is open again"]]) {
      await b.selectOption("#publish select", topic);
      await b.fill("#publish input", text);
      await b.click("#publish button");
      await a.getByText(text).waitFor();
    }
    await b.getByText("The bridge is open again").waitFor();
    assert.equal(await b.getByText("One all").count(), 0);
  },
  async assistant(a, b) {
    await a.fill("#text", "What is a party?");
    // what is there for a while only is looked for before it comes
    const answering = Promise.all([".bubble.answering", "#ask button:disabled"].map((what) => b.locator(what).waitFor()));
    await Promise.all([answering, a.click("#ask button")]);
    for (const page of [a, b]) await page.locator("#ask button:enabled").waitFor();
    assert.equal(await a.locator("#turns li").last().textContent(), await b.locator("#turns li").last().textContent());
  },
  async guestbook(a, b) {
    for (const [page, name, text] of [[a, "Anna", "It was lovely <3"], [b, "Ben", "Come again, & bring the cake."]]) {
      await page.fill("[name=name]", name);
      await page.fill("[name=text]", text);
      await page.click("button");
      for (const other of [a, b]) await other.getByText(text).waitFor();
      await page.locator(".status.open").waitFor();
    }
    assert.equal(await a.locator("#entries li").count(), 2);
  },
  async crowd(a, b) {
    await a.locator("#shards .mine").waitFor();
    for (const [page, text] of [[a, "Is anybody in another room?"], [b, "All of us hear you."]]) {
      await page.fill("#text", text);
      await page.click("#send button");
      for (const other of [a, b]) await other.getByText(text).waitFor();
    }
  },
  async webhook(a, b, { server, room }) {
    const body = JSON.stringify({ action: "opened" });
    for (const [n, event] of ["issues", "push", "release"].entries()) {
      const signature = createHmac("sha256", VARIABLES.WEBHOOK_SECRET).update(body).digest("hex");
      const headers = { "X-Hub-Signature-256": `sha256=${signature}`, "X-GitHub-Event": event, "X-GitHub-Delivery": `72d3162e-cc78-${n}` };
      assert.equal((await server.request(`/parties/webhook/${room}`, { method: "POST", headers, body })).status, 202);
    }
    for (const page of [a, b]) await page.locator("#deliveries li:nth-child(3)").waitFor();
  },
  async admin(a, b, { server, room }) {
    await b.goto(`${server.url}/chat.html#${room}`);
    await b.locator(".status.open").waitFor();
    await a.fill("#token", VARIABLES.ADMIN_TOKEN);
    await a.click("#sign button");
    const line = a.locator("tr", { hasText: room });
    await line.locator('td.number:text-is("1")').waitFor();
    a.on("dialog", (dialog) => dialog.accept("Closing at ten"));
    await line.getByText("Announce").click();
    await b.locator(".announcement").waitFor();
  },
  async cursors(a, b) {
    for (const [page, x, y] of [[a, 0.3, 0.35], [b, 0.7, 0.6]]) {
      await page.hover("#field", { position: await page.locator("#field").evaluate((field, [x, y]) => ({ x: field.clientWidth * x, y: field.clientHeight * y }), [x, y]) });
    }
    for (const page of [a, b]) await page.locator("text=One other pointer.").waitFor();
  },
  async reactions(a, b) {
    const flying = b.locator("#stage span").first().waitFor(); // for a while only
    flying.catch(() => {}); // if a click fails before
    for (const name of ["Hurray", "Love", "Hurray", "Applause", "Laughter", "Hm"]) await a.click(`button[aria-label=${name}]`);
    await flying;
    await b.locator('button[aria-label=Hurray] small:text-is("2")').waitFor();
  },
  async presence(a, b) {
    await a.locator("#people li:nth-child(2)").waitFor();
    await b.click('#pages button:text("/prices")');
    await a.locator('#pages button:has-text("/prices") small:text-is("1 person")').waitFor();
    for (const title of ["Programming in Lua", "Programming in Lua", "RFC 6455"]) await a.click(`a:text("${title}")`);
    await b.locator('#links li:has-text("Programming in Lua") span:text-is("2")').waitFor();
  },
  async counter(a, b) {
    await a.click('button:text("+ 10")');
    await b.locator('#value:text-is("10")').waitFor();
    await b.click('button:text("− 1")');
    await a.locator('#value:text-is("9")').waitFor();
  },
  async poll(a, b) {
    await a.fill("[name=question]", "What shall we bake on Saturday?");
    await a.fill("[name=options]", "Sourdough\nCinnamon buns\nA very large apple cake with walnuts");
    await a.click("#make button");
    await a.click('#options button:has-text("buns")');
    await b.locator("#sum:text-is('One vote.')").waitFor();
    await b.click('#options button:has-text("apple")');
    await a.locator("#sum:text-is('2 votes.')").waitFor();
  },
  async todo(a, b) {
    for (const text of ["Buy flour", "Feed the sourdough", "Ask Ben about the oven"]) {
      await a.fill("#text", text);
      await a.click("#add button");
    }
    await b.locator("#items li:nth-child(3)").waitFor();
    await b.locator("#items li:nth-child(1) [type=checkbox]").check();
    await a.locator("#items li:nth-child(1).done").waitFor();
    await a.locator("#left:text-is('2 things are left.')").waitFor();
  },
  async yjs(a) {
    await a.locator('#updates:text-is("0")').waitFor();
  },
  async tictactoe(a, b) {
    await a.locator("#say:text-is('Your turn.')").waitFor();
    const cells = [5, 1, 9, 3, 2];
    for (const [n, cell] of cells.entries()) {
      await [a, b][n % 2].click(`#board button:nth-child(${cell})`);
      for (const page of [a, b]) await page.locator(`#board button:nth-child(${cell}):text-is("${"XO"[n % 2]}")`).waitFor();
    }
    await b.reload();
    await b.locator("#say:text-is('Your turn.')").waitFor();
    await b.locator("#seats :text-is('O: you')").waitFor();
  },
  async arena(a, b) {
    for (const page of [a, b]) await page.locator("#scores li:nth-child(2)").waitFor();
    await a.locator("canvas").focus();
    const still = await b.locator("canvas").evaluate((canvas) => canvas.toDataURL());
    await a.keyboard.down("ArrowRight");
    await b.waitForFunction((still) => document.querySelector("canvas").toDataURL() !== still, still);
    await a.keyboard.up("ArrowRight");
  },
};

describe("the pages", () => {
  const args = Object.entries(VARIABLES).flatMap(([name, value]) => ["--var", `${name}=${value}`]);
  const server = serverForSuite(undefined, { directory: REPOSITORY, args });
  let browser;

  before(async () => {
    assert.ok(existsSync(CHROMIUM), `${CHROMIUM} is missing`);
    if (SHOTS) mkdirSync(SHOTS, { recursive: true });
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      headless: true,
      args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    });
  });

  after(() => browser?.close());

  // A page of a browser of its own.
  async function open(t, name, room, problems) {
    const [viewport, colorScheme] = LOOKS.light;
    const context = await browser.newContext({ viewport, colorScheme });
    t.after(() => context.close());
    const page = await context.newPage();
    page.setDefaultTimeout(DEADLINE);
    page.on("pageerror", (error) => problems.push(`${name}: ${error.message}`));
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && problems.push(`${name}: ${message.text()}`));
    page.on("request", (request) => new URL(request.url()).host === server.host || request.url().startsWith("data:") || problems.push(`${name} asks for ${request.url()}`));
    await page.goto(`${server.url}/${PLACES[name]?.(room) ?? `${name}.html${room ? `#${room}` : ""}`}`);
    return page;
  }

  // What it looks like in the light, in the dark, and on a phone.
  async function looksWell(page, name) {
    for (const [look, [viewport, colorScheme]] of Object.entries(LOOKS)) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      await isWithin(page, `${name}, ${look}`);
      if (SHOTS) await page.screenshot({ path: join(SHOTS, `${name}-${look}.png`), fullPage: name === "index" });
    }
    await isNamed(page, name);
  }

  async function isWithin(page, name) {
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(over, 0, `${name} is wider than the window by ${over}`);
  }

  // Each control has a name, each image a text, and there is one heading of the page.
  async function isNamed(page, name) {
    const bare = await page.evaluate(() =>
      [...document.querySelectorAll("input, textarea, select, button, a")]
        .filter((node) => !(node.getAttribute("aria-label") || node.textContent.trim() || node.closest("label")))
        .map((node) => node.outerHTML),
    );
    assert.deepEqual(bare, [], name);
    assert.equal(await page.locator("h1").count(), 1, name);
    assert.equal(await page.locator("main").count(), 1, name);
  }

  for (const [name, scene] of Object.entries(SCENES)) {
    it(name, async (t) => {
      const problems = [];
      const room = server.room(name);
      const a = await open(t, name, room, problems);
      if (!["yjs", "admin"].includes(name)) await a.locator(".status.open").waitFor();
      const b = await open(t, name, room, problems);
      if (name !== "admin") await b.locator(".status.open").waitFor();
      await scene(a, b, { server, room });
      await looksWell(a, name);
      assert.deepEqual(problems, []);
    });
  }

  it("the first one leads to all of them", async (t) => {
    const problems = [];
    const page = await open(t, "index", "", problems);
    await looksWell(page, "index");
    const links = await page.locator(".cards a").evaluateAll((all) => all.map((link) => link.getAttribute("href")));
    const pages = (await readdir(join(REPOSITORY, "public"))).filter((file) => file.endsWith(".html") && file !== "index.html");
    for (const file of pages) assert.ok(links.includes(file), `there is no link to ${file}`);
    for (const link of links) assert.equal((await server.request(`/${link}`)).status, 200, link);
    for (const code of await page.locator(".cards code").allTextContents()) assert.ok(existsSync(join(REPOSITORY, code)), code);
    assert.deepEqual(problems, []);
  });
});
