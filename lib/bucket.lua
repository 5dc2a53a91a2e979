-- A token bucket: so many at once, so many a second in the long run. It is plain data, so it can live in
-- connection.state.
local bucket = {}

function bucket.new(burst, perSecond)
  return { burst = burst, perSecond = perSecond, tokens = burst, at = now() }
end

-- Takes one token; false when there is none.
function bucket.take(self)
  local time = now()
  local earned = math.max(0, time - self.at) * self.perSecond / 1000
  self.tokens = math.min(self.burst, self.tokens + earned)
  self.at = time
  if self.tokens < 1 then return false end
  self.tokens = self.tokens - 1
  return true
end

return bucket
