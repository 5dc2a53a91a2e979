-- tries: a request that fetches its own room, which fetches its own room, and so on
-- must: it ends where a room has as many fetches as it may
-- trigger: request
-- expect: 200 the end
return require "attack" (function(_, request)
  local depth = tonumber(request.query.depth) or 0
  local url = request.url:match("^[^?]*") .. "?depth=" .. depth + 1
  local response, _, code = fetch(url, { timeout = 20000 })
  if not response then return code == "too_many" and "the end" or "ended by " .. code end
  return response:text()
end)
