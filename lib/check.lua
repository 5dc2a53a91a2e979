-- What clients send is judged before it is used. Each function returns the value, or nil where it is not
-- what it should be.
local check = {}

-- The object in a message of JSON; never raises.
function check.object(message, binary)
  if binary then return nil end
  local ok, value = pcall(json.decode, message)
  if ok and type(value) == "table" then return value end
end

-- Text of 1 to max characters, without the blanks around it.
function check.text(value, max)
  if type(value) ~= "string" then return nil end
  local text = value:match("^%s*(.-)%s*$")
  local length = utf8.len(text)
  if length and length >= 1 and length <= max then return text end
end

-- A whole number from low to high.
function check.integer(value, low, high)
  if math.type(value) == "integer" and value >= low and value <= high then return value end
end

-- A number from low to high; NaN is none.
function check.number(value, low, high)
  if type(value) == "number" and value >= low and value <= high then return value end
end

return check
