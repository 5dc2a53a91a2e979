// What the pages of the examples share: the bar at the top, the room out of the address, a person's name and id.
// A page needs none of this to talk with a room; that is what /_festa/client.js is for.

import { connect } from "/_festa/client.js";

export const $ = (selector, root = document) => root.querySelector(selector);

// element("li", { className: "new" }, "text", otherElement): text is text, whatever is in it.
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(36).padStart(2, "0")).join("").slice(0, 16);
}

// The room that the address names: NAME.html#kitchen.
function roomOfAddress(fallback) {
  try {
    return decodeURIComponent(location.hash.slice(1)).trim().replaceAll("/", "-") || fallback;
  } catch {
    return fallback; // not an address that this page has made
  }
}

function stored(storage, key, make) {
  try {
    const value = storage.getItem(key) ?? make();
    storage.setItem(key, value);
    return value;
  } catch {
    return make(); // a browser that keeps nothing
  }
}

// A tab's own id: it outlives a reload, so the server knows who comes back.
export const tabId = () => stored(sessionStorage, "festa.tab", randomId);

// A person's id: the same in all tabs of a browser.
export const personId = () => stored(localStorage, "festa.person", randomId);

const ANIMALS = ["Otter", "Heron", "Lynx", "Wren", "Newt", "Ibex", "Marten", "Finch", "Badger", "Toad", "Swift", "Hare"];
const COLOURS = ["Red", "Amber", "Green", "Blue", "Violet", "Silver", "Copper", "Ivory", "Teal", "Rosy"];
const pick = (array) => array[Math.floor(Math.random() * array.length)];

export const myName = () => stored(localStorage, "festa.name", () => `${pick(COLOURS)} ${pick(ANIMALS)}`);
export function rename(name) {
  localStorage.setItem("festa.name", name);
}

// One of the five hues for a name or an id, always the same one.
export function hueOf(text) {
  let hash = 7;
  for (const character of String(text)) hash = (hash * 31 + character.codePointAt(0)) >>> 0;
  return `var(--hue-${(hash % 5) + 1})`;
}

export function status(text, open = false) {
  const line = $(".status");
  if (!line) return;
  line.textContent = text;
  line.classList.toggle("open", open);
}

// Puts the bar on top of the page and the line with the source below it. rooms: false for a page whose room is fixed.
export function frame({ party, title, room: fallback = "lobby", rooms = true, note = "" }) {
  const room = rooms ? roomOfAddress(fallback) : fallback;
  document.title = `${title} · Festa`;
  const tools = element("div", { className: "tools" });
  if (rooms) {
    const input = element("input", { value: room, required: true, maxLength: 80, autocomplete: "off", spellcheck: false });
    input.name = "room";
    const form = element("form", {}, element("label", {}, "Room", input));
    form.onsubmit = (event) => {
      event.preventDefault();
      location.hash = encodeURIComponent(input.value.trim().replaceAll("/", "-"));
    };
    tools.append(form);
    addEventListener("hashchange", () => location.reload()); // another room is another page
  }
  const line = element("span", { className: "status" }, "connecting");
  line.setAttribute("role", "status");
  tools.append(line);
  const home = element("a", { className: "home", href: "/" }, "Festa");
  const bar = element("header", { className: "bar" }, element("div", { className: "where" }, home, element("h1", {}, title)), tools);
  const garland = element("div", { className: "garland" });
  garland.setAttribute("aria-hidden", "true");
  document.body.prepend(bar, garland);
  const foot = element("footer", { className: "foot" }, "The server's side is ", element("code", {}, `parties/${party}.lua`), ". ", note);
  document.body.append(foot);
  return room;
}

// Connects the page to its room, shows in the bar how that goes, and gives what comes in, parsed, to hear().
export function join(party, room, options, hear) {
  const socket = connect(party, room, options);
  socket.binaryType = "arraybuffer";
  socket.addEventListener("open", () => status("connected", true));
  socket.addEventListener("close", ({ code, reason }) => {
    status(socket.shouldReconnect ? "not connected" : code === 4409 ? "open in another tab" : reason || `closed (${code})`);
  });
  socket.addEventListener("message", ({ data }) => hear(JSON.parse(data)));
  return { socket, send: (value) => socket.send(JSON.stringify(value)) };
}
