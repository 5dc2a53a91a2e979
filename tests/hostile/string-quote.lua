-- tries: %q, upper, reverse, byte and pack of megabytes, again and again, caught each time that memory ends
-- must: the handler ends with an error though each call is one step of the VM
-- trigger: request
-- expect: 500
return require "attack" (function()
  local text = ("\0\n\r\\\""):rep(400000)
  while true do
    pcall(string.format, "%q", text)
    pcall(string.reverse, text)
    pcall(string.upper, text)
    pcall(string.byte, text, 1, -1)
    pcall(string.pack, "s8s8", text, text)
  end
end)
