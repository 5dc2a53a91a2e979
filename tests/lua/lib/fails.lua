tries = (tries or 0) + 1
if tries == 1 then error("not yet") end
return tries
