-- tries: URLs and headers that would make other requests of one
-- must: each raises
-- trigger: request
-- expect: 200 safe
return require "attack" (function(_, request)
  local origin = request.url:match("^http://[^/]+")
  local lines = { "\r\n", "\n", "\r", "\0", "a\r\nX: y\r\n\r\nGET /good HTTP/1.1" }
  for _, line in ipairs(lines) do
    assert(not pcall(fetch, origin .. "/" .. line))
    assert(not pcall(fetch, origin, { method = "GET" .. line }))
    assert(not pcall(fetch, origin, { headers = { ["x" .. line] = "y" } }))
    assert(not pcall(fetch, origin, { headers = { x = "y" .. line } }))
    assert(not pcall(fetch, origin, { headers = { x = { "y", line } } }))
  end
  for _, name in ipairs { "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "TE", "Trailer" } do
    assert(not pcall(fetch, origin, { method = "POST", body = "x", headers = { [name] = "1" } }))
  end
  for _, url in ipairs { "file:///etc/passwd", "gopher://127.0.0.1/", "dict://127.0.0.1/", "ftp://127.0.0.1/", "unix:/x" } do
    assert(not pcall(fetch, url))
  end
  return "safe"
end)
