-- What the tests in this folder have besides a script's own globals. Each file runs in a VM of its own.

local function describe(value)
  return type(value) == "string" and string.format("%q", value) or tostring(value)
end

local function same(a, b)
  if type(a) == "table" and type(b) == "table" then
    for key, value in pairs(a) do
      if not same(value, b[key]) then return false end
    end
    for key in pairs(b) do
      if a[key] == nil then return false end
    end
    return true
  end
  return rawequal(a, b) and math.type(a) == math.type(b) or (a ~= a and b ~= b)
end

-- Runs a test; what it raises is raised with the test's name.
function test(name, run)
  local ok, message = xpcall(run, function(err) return tostring(err) .. "\n" .. debug.traceback() end)
  if not ok then error(name .. ": " .. message, 0) end
end

-- The same value: tables by what is in them, numbers also by their kind.
function eq(got, wanted)
  if not same(got, wanted) then
    error("got " .. describe(got) .. ", not " .. describe(wanted), 2)
  end
end

-- The function raises a message with this plain text in it.
function raises(text, run, ...)
  local ok, message = pcall(run, ...)
  if ok then error("did not raise " .. describe(text), 2) end
  if not string.find(tostring(message), text, 1, true) then
    error("raised " .. describe(message) .. ", not " .. describe(text), 2)
  end
end
