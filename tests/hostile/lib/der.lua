-- Writes DER (ITU-T X.690): what keys are made of.
local der = {}

local function length(n)
  if n < 128 then return string.char(n) end
  local bytes = ""
  while n > 0 do
    bytes = string.char(n & 255) .. bytes
    n = n >> 8
  end
  return string.char(0x80 | #bytes) .. bytes
end

function der.tlv(tag, value) return string.char(tag) .. length(#value) .. value end

-- A number that is not negative, from its bytes, the highest first.
function der.int(bytes) return der.tlv(2, (bytes:byte() > 127 and "\0" or "") .. bytes) end

return der
