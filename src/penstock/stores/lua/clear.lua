-- Forget a step of a space's entries, oldest first.
-- ARGV[3] the turn up to which entries go, or "" for the last one there is now
-- Returns how many were live, and the turn to go on with, or "" when none is left up to it.

local up_to = ARGV[3] ~= '' and ARGV[3] or tostring(number('turn'))
local keys = redis.call('ZRANGEBYSCORE', age, '-inf', up_to, 'LIMIT', 0, STEP)
local gone = 0
for _, key in ipairs(keys) do
    if drop(key) then
        gone = gone + 1
    end
end
settle()
return { gone, #keys == STEP and up_to or '' }
