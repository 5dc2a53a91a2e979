-- A language model: the one at MODEL_URL, which speaks as OpenAI's chat completions do, or else a stand-in that needs
-- nothing and knows nothing.
local model = {}

local LINES = {
  "That is a good question about “%s”. I am a stand-in, so I only know how to answer slowly, a word at a time, as a model would.",
  "You said “%s”, and everybody in this room can watch me think about it. Set MODEL_URL, and a real model answers here.",
  "“%s”? Reload the page while I speak: what I have said so far is there, and the rest keeps coming.",
}

-- Calls piece(text) for each part of the answer. True, or nil and why not.
local function pretend(turns, piece)
  local asked = turns[#turns].text
  if utf8.len(asked) > 60 then asked = asked:sub(1, utf8.offset(asked, 60) - 1) .. "…" end
  -- a function, so that a "%" in the question stays what it is
  local answer = LINES[(#turns // 2) % #LINES + 1]:gsub("%%s", function() return asked end)
  for word in answer:gmatch("%S+%s*") do
    sleep(40)
    piece(word)
  end
  return true
end

local function ask(url, turns, piece)
  local messages = {}
  for n, turn in ipairs(turns) do messages[n] = { role = turn.role, content = turn.text } end
  local headers = party.env.MODEL_KEY and { Authorization = "Bearer " .. party.env.MODEL_KEY } or nil
  local response, problem = fetch(url, {
    method = "POST",
    headers = headers,
    json = { model = party.env.MODEL_NAME or "default", stream = true, messages = messages },
    stream = true,
    timeout = 120 * 1000,
  })
  if not response then return nil, problem end
  if not response.ok then return nil, "the model answered with " .. response.status end
  for line in response:lines() do
    local data = line:match("^data: ?(.*)$")
    if data == "[DONE]" then return true end
    if data then
      local ok, event = pcall(json.decode, data)
      local choice = ok and type(event) == "table" and type(event.choices) == "table" and event.choices[1]
      local text = choice and choice.delta and choice.delta.content
      if type(text) == "string" then piece(text) end
    end
  end
  return nil, "the answer broke off"
end

-- turns: { { role = "user" or "assistant", text = … }, … }, the last one the user's.
function model.answer(turns, piece)
  if party.env.MODEL_URL then return ask(party.env.MODEL_URL, turns, piece) end
  return pretend(turns, piece)
end

return model
