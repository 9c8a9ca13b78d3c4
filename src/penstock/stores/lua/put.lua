-- Keep entries; then expired entries, and after them the oldest, go until the space is within its limit.
-- ARGV[3] limit (bytes), then for each entry: its key, when it expires (ms), header and sealed value
-- (an empty list only goes on with the eviction)
-- Returns the bytes that are still too many: call again when it is not 0.

local limit = tonumber(ARGV[3])
local HEADER = 8 -- bytes before the sealed value

if #ARGV > 3 then
    -- A full server refuses only what comes before a script's first write: this makes it all or nothing.
    redis.call('HINCRBY', book, 'turn', 0)
end
for i = 4, #ARGV, 3 do
    local key, expires_at, value = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    local size = #value - HEADER
    drop(key)
    if size <= limit and tonumber(expires_at) > now then
        redis.call('SET', prefix .. key, value, 'PXAT', expires_at)
        local turn = redis.call('HINCRBY', book, 'turn', 1)
        redis.call('ZADD', age, turn, key)
        redis.call('ZADD', ends, expires_at, key)
        redis.call('HSET', book, '=' .. key, size)
        redis.call('HINCRBY', book, 'bytes', size)
    end
end

local steps = 0
while steps < STEP and number('bytes') > limit do
    drop(expired(1)[1] or redis.call('ZRANGE', age, 0, 0)[1])
    steps = steps + 1
end

local excess = math.max(0, number('bytes') - limit)
settle()
return excess
