-- Let reservations live on.
-- ARGV[4] when they expire, ARGV[5...] reservations, each once
-- Returns how many were still held.

local live = 0
for i = 5, #ARGV do
    if redis.call('ZSCORE', due, ARGV[i]) then
        redis.call('ZADD', due, ARGV[4], ARGV[i])
        live = live + 1
    end
end
save()
return live
