-- Read a table if it is not at this version any more.
-- KEYS[1] version, KEYS[2] hash of the records
-- ARGV[1] the version that the caller has
-- Returns the version, and the records (key, value, key, ...) or nil.

local version = redis.call('GET', KEYS[1]) or '0'
if version ~= '0' and version == ARGV[1] then
    return { tonumber(version), false }
end
return { tonumber(version), redis.call('HGETALL', KEYS[2]) }
