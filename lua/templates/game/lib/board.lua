-- The rules of tic-tac-toe: a board is an array of nine, "-", "X" or "O".
local board = {}

local LINES = {
  { 1, 2, 3 }, { 4, 5, 6 }, { 7, 8, 9 }, { 1, 4, 7 }, { 2, 5, 8 }, { 3, 6, 9 }, { 1, 5, 9 }, { 3, 5, 7 },
}

function board.new()
  local cells = {}
  for i = 1, 9 do cells[i] = "-" end
  return cells
end

-- "X", "O", "draw", or nil while the game goes on.
function board.winner(cells)
  for _, line in ipairs(LINES) do
    local mark = cells[line[1]]
    if mark ~= "-" and mark == cells[line[2]] and mark == cells[line[3]] then return mark end
  end
  for _, mark in ipairs(cells) do
    if mark == "-" then return nil end
  end
  return "draw"
end

return board
