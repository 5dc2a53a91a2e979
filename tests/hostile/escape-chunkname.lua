-- tries: chunks whose names are files that the script must not read, so that an excerpt of their source is shown
--   with the error: outside of the project, the configuration, devices that never end
-- must: 500; no line of those files in the answer or in the log
-- trigger: request
-- events: 7
-- expect: 500
return require "attack" (function(_, request)
  local outside = party.env.OUTSIDE
  local names = { "@../secret.txt", "@" .. outside .. "/secret.txt", "@lib/../../secret.lua", "@/dev/zero", "@/proc/self/environ", "@lib/link.lua",
                  "@parties/../../secret.txt" }
  load("\nerror('look')", names[tonumber(request.query.n)])()
end)
