-- A guest book whose page the room itself renders, with what it has. Shows HTML from a room: it works without
-- JavaScript, a form and a redirect, and with it new entries appear while one reads.
--
--   GET  /parties/guestbook/:room        the page, or with Accept: application/json the entries
--   POST /parties/guestbook/:room        a form with name and text: 303 back to the page
local check = require "check"

local Guestbook = {}

local SHOWN = 50

local function key(n)
  return ("entry:%010d"):format(n)
end

local function entries()
  local found = {}
  for _, entry in party.storage.list({ prefix = "entry:", reverse = true, limit = SHOWN }) do
    found[#found + 1] = entry
  end
  return found
end

function Guestbook:onStart()
  self.last = #entries() > 0 and entries()[1].n or 0
end

-- ---- the page

-- What is put into HTML passes html.escape, whoever has written it.
local function item(entry)
  return ('<li class="card"><p>%s</p><p class="soft small">%s, <time>%s</time></p></li>'):format(
    html.escape(entry.text), html.escape(entry.name), os.date("!%Y-%m-%d %H:%M", entry.at // 1000))
end

local PAGE = [[
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Guest book · Festa</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/festa.css">
<body>
<header class="bar">
  <div class="where"><a class="home" href="/">Festa</a><h1>Guest book</h1></div>
  <div class="tools"><span class="status" role="status">as it was</span></div>
</header>
<div class="garland" aria-hidden="true"></div>
<main class="page">
  <p class="lead">The room has rendered this page itself. It works without JavaScript; with it, new entries appear by themselves.</p>
  <form method="post" class="card stack">
    <label class="field">Your name <input name="name" required maxlength="40" autocomplete="nickname"></label>
    <label class="field">What you would like to say <textarea name="text" required maxlength="500" rows="3"></textarea></label>
    <div><button>Sign</button></div>
  </form>
  <ol id="entries" class="stack" aria-live="polite">{entries}</ol>
</main>
<footer class="foot">The server's side is <code>parties/guestbook.lua</code>, and so is this page.</footer>
<script type="module">
import { connect } from "/_festa/client.js";
const [party, room] = location.pathname.split("/").slice(2, 4).map(decodeURIComponent);
const status = document.querySelector(".status");
const socket = connect(party, room);
socket.onopen = () => { status.textContent = "connected"; status.classList.add("open"); };
socket.onclose = () => { status.textContent = "not connected"; status.classList.remove("open"); };
// HTML from the room, which has escaped what is in it
socket.onmessage = ({ data }) => document.querySelector("#entries").insertAdjacentHTML("afterbegin", data);
</script>
</body>
</html>
]]

local function render()
  local items = {}
  for n, entry in ipairs(entries()) do items[n] = item(entry) end
  local all = table.concat(items, "\n")
  return (PAGE:gsub("{entries}", function() return all end)) -- a function: a "%" in an entry is just that
end

-- ---- requests

function Guestbook:onRequest(request)
  if request.method == "GET" or request.method == "HEAD" then
    if (request.headers.accept or ""):find("application/json", 1, true) then return json.array(entries()) end
    return Response.html(render(), { headers = { Vary = "Accept", ["Cache-Control"] = "no-cache" } })
  end
  if request.method ~= "POST" then
    return Response("Method not allowed", { status = 405, headers = { Allow = "GET, HEAD, POST" } })
  end
  local form = request:form()
  local name, text = check.text(form.name, 40), check.text(form.text, 500)
  if not name or not text then return Response("A name of up to 40 characters, a text of up to 500", { status = 400 }) end
  self.last = self.last + 1
  local entry = { n = self.last, name = name, text = text, at = now() }
  party.storage.put(key(entry.n), entry)
  party.broadcast(item(entry))
  return Response.redirect(request.path, 303)
end

return Guestbook
