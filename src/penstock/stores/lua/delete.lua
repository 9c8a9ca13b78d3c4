-- Forget entries by their keys.
-- ARGV[3...] entry keys
-- Returns how many were live.

local gone = 0
for i = 3, #ARGV do
    if drop(ARGV[i]) then
        gone = gone + 1
    end
end
settle()
return gone
