-- tries: finding what Lua has and this must not have, in all tables that can be reached
-- must: nothing of io, package, os.execute, debug and the loaders is there
-- trigger: request
-- expect: 200 safe
return require "attack" (function()
  for _, name in ipairs { "io", "package", "dofile", "loadfile", "loadstring", "module", "setfenv", "getfenv", "newproxy",
                          "warn", "ffi", "jit", "bit", "arg", "rawunlock", "stub" } do
    assert(_G[name] == nil and _ENV[name] == nil, name)
    assert(not pcall(require, name), name)
  end
  for _, name in ipairs { "execute", "getenv", "remove", "rename", "tmpname", "exit", "setlocale" } do assert(os[name] == nil, name) end
  for name in pairs(debug) do assert(name == "traceback", name) end
  assert(collectgarbage("count") > 0)
  for _, option in ipairs { "collect", "stop", "restart", "step", "incremental", "generational", "isrunning", "setpause" } do
    assert(not pcall(collectgarbage, option, 0), option)
  end
  local fresh = load("return _G, _ENV, string", "x", "t", { _G = 1 })
  local a, b, c = fresh()
  assert(a == 1 and b._G == 1 and c == nil)
  return "safe"
end)
