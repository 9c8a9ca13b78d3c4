-- The account of one space, which put, delete, clear and size all begin with.
-- Times are milliseconds since the epoch, sizes are bytes of the sealed value without its header.
--
-- KEYS[1] age     sorted set: entry key by turn, a number that rises by one with each put
-- KEYS[2] ends    sorted set: entry key by the time it expires
-- KEYS[3] book    hash: "=<entry key>" its size, "bytes" the sum of all sizes, "turn" the last turn
-- ARGV[1] prefix of the entries' own keys (they share the slot of KEYS, so a cluster runs this too)
-- ARGV[2] now
--
-- The values expire by themselves; `ends` and `book` remember what they weighed until it is taken off.

local age, ends, book = KEYS[1], KEYS[2], KEYS[3]
local prefix, now = ARGV[1], tonumber(ARGV[2])
local STEP = 500 -- entries that one call deletes at most

local function number(field)
    return tonumber(redis.call('HGET', book, field) or 0)
end

-- Forget an entry; true if it was still live.
local function drop(key)
    local expires_at = redis.call('ZSCORE', ends, key)
    redis.call('UNLINK', prefix .. key)
    if not expires_at then
        return false
    end
    redis.call('HINCRBY', book, 'bytes', 0 - number('=' .. key)) -- Lua would write -0
    redis.call('HDEL', book, '=' .. key)
    redis.call('ZREM', age, key)
    redis.call('ZREM', ends, key)
    return tonumber(expires_at) > now
end

local function expired(most)
    return redis.call('ZRANGEBYSCORE', ends, '-inf', ARGV[2], 'LIMIT', 0, most)
end

-- Take expired entries off; true if there are more.
local function trim()
    local keys = expired(STEP)
    for _, key in ipairs(keys) do
        drop(key)
    end
    return #keys == STEP
end

-- Let the account end with its last entry, and a minute of grace for clocks that differ.
local function settle()
    local last = redis.call('ZREVRANGE', ends, 0, 0, 'WITHSCORES')[2]
    if not last then
        redis.call('UNLINK', age, ends, book)
        return
    end
    for _, key in ipairs(KEYS) do
        redis.call('PEXPIREAT', key, string.format('%.0f', tonumber(last) + 60000))
    end
end

-- A server that evicts keys on its own may have lost a part; what is left says nothing then.
local entries = redis.call('ZCARD', age)
local fields = redis.call('HLEN', book)
if redis.call('ZCARD', ends) ~= entries or fields ~= (entries > 0 and entries + 2 or 0) then
    redis.call('UNLINK', age, ends, book)
end
