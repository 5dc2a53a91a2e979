-- tries: responses of five megabytes that are kept unread, whole and as streams
-- must: what they hold counts as the room's: an error in the script
-- trigger: request
-- events: 30
-- expect: 200 kept or 200 too_large or 200 too_many or 500
return require "attack" (function(self, request)
  if request.query.large then return ("x"):rep(5000000) end
  self.kept = self.kept or {}
  local url = request.url:match("^[^?]*") .. "?large=1"
  local response, _, code = fetch(url, { stream = #self.kept % 2 == 1 })
  if not response then return code end
  table.insert(self.kept, response)
  return "kept"
end)
