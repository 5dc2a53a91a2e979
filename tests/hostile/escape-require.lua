-- tries: modules that are none of the project's: above it, absolute, behind a link, with odd characters in their
--   names, through modules of modules
-- must: refused, each of them
-- trigger: request
-- expect: 200 refused
return require "attack" (function()
  local outside = party.env.OUTSIDE
  local names = { "../secret", "..secret", "...secret", "../../secret", "lib/../../secret", "attack/../../../secret", outside .. "/secret",
                  outside:gsub("/", ".") .. ".secret", "/" .. outside .. "/secret", "link", "./link", "secret", "secret\0", "attack\0x", "attack.lua", "attack.", ".attack", "",
                  ".", "..", "/", "//", "\\..\\secret", "%2e%2e/secret", "..%2fsecret", ("../"):rep(20) .. "etc/passwd", "/etc/passwd",
                  "/proc/self/environ", "..\u{2215}secret", "festa", "../festa", ".env", "hostile", "parties.hostile",
                  "../parties/hostile", "lib.attack", "attack/", "ATTACK ", " attack", "attack\n", ("a"):rep(1000000), ("a."):rep(100000) .. "a",
                  "secret.txt", "~/secret", "$HOME", "attack;secret", "?", "*", "@secret" }
  local found = {}
  for _, name in ipairs(names) do
    local ok, result, path = pcall(require, name)
    if ok then found[#found + 1] = ("%s: %s (%s)"):format(name:sub(1, 50), tostring(result), tostring(path)) end
  end
  for _, value in ipairs { 1, 1.5, true, {}, print, json.null } do assert(not pcall(require, value)) end
  return #found == 0 and "refused" or table.concat(found, "\n")
end)
