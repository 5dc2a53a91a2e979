test("a module of lib/ gets its name and path, and is loaded once", function()
  local scoring, path = require "scoring"
  eq(scoring.name, "scoring")
  eq(scoring.path, "lib/scoring.lua")
  eq(path, "lib/scoring.lua")
  eq(scoring.double(21), 42)
  eq(rawequal(require("scoring"), scoring), true)
  eq(loaded, 1)
end)

test("dots and slashes separate folders", function()
  eq(require "deep.thing", "a thing")
  eq(require "deep/thing", "a thing")
end)

test("a party's own folder", function()
  eq(require "own", "of the party")
  raises("may be lib/ambiguous.lua or parties/test/ambiguous.lua", require, "ambiguous")
end)

test("a module that returns nothing is true", function()
  eq(require "quiet", true)
  eq(quiet, true)
end)

test("libraries that are there anyway", function()
  for _, name in ipairs { "string", "table", "math", "os", "coroutine", "debug", "json", "party",
                          "crypto", "log", "html", "Response", "_G" } do
    eq(rawequal(require(name), _G[name]), true)
  end
end)

test("a library stays the same when its global goes", function()
  local kept = table
  table = nil
  eq(kept.concat({ 1, 2 }, "-"), "1-2")
  eq(rawequal(require "table", kept), true)
  eq(type(kept.unpack), "function")
  table = kept
  local strings = string
  string = nil
  eq(rawequal(require "string", strings), true)
  string = strings
end)

test("a library that is required before its global is asked for", function()
  local required = require "utf8"
  eq(required.char(233), "é")
  eq(rawequal(utf8, required), true)
  eq(required.len "é", 1)
end)

test("what is not there says where it was looked for", function()
  raises("module 'nothing' not found:\n\tno file 'lib/nothing.lua'\n\tno file 'parties/test/nothing.lua'",
         require, "nothing")
  raises("no file 'lib/io.lua'", require, "io")
  raises("no file 'lib/package.lua'", require, "package")
end)

test("names that are none", function()
  for _, name in ipairs { "", ".", "..", "...", "../secret", "/etc/passwd", "a..b", "a//b", ".a", "a.", "a/",
                          "lib/../x", "a b", "a\nb", "ä", "a\\b", ("x"):rep(300) } do
    raises("is no module's name", require, name)
  end
  raises("more than 200 bytes", require, ("/"):rep(201))
  raises("letters, digits", require, ("/"):rep(200))
  raises("'../x' is no module's name", require, "../x")
  raises("no NUL", require, "a\0b")
  raises("string expected", require)
  raises("string expected", require, {})
end)

test("loops are told, errors may be tried again", function()
  raises("loop or previous error loading module 'loop_a'", require, "loop_a")
  raises("loop or previous error loading module 'loop_b'", require, "loop_b")
  raises("lib/fails.lua:2: not yet", require, "fails")
  eq(require "fails", 2)
end)

test("a module that does not compile shows where", function()
  raises("lib/broken.lua:2: unexpected symbol near '='", require, "broken")
end)

test("the file scope of a module can't wait", function()
  raises("waiting is possible in handlers", require, "waits")
end)

test("strict mode", function()
  require "strict" ()
  raises("variable 'nonexistent' is not declared", function() return nonexistent end)
  raises("assignment to undeclared variable 'typo'", function() typo = 1 end)
  eq(("x"):upper(), "X")
  eq(math.floor(1.5), 1)
  eq(json.encode { 1 }, "[1]")
  setmetatable(_G, nil)
end)
