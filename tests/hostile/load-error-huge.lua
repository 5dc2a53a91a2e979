-- tries: an error of megabytes with escape sequences for the terminal, whose place is said to be another file
-- must: an error of a few kilobytes without control characters
-- trigger: load
-- expect: exit 1
-- says: parties/hostile.lua
local f = load("error(...)", "@" .. ("/etc/passwd\27[2J\n"):rep(1000))
f(("\27]0;owned\7\n"):rep(300000))
