-- Forget a record.
-- KEYS[1] version, KEYS[2] hash of the records
-- ARGV[1] where the version of a new table starts, ARGV[2] key of the record
-- Returns how many went.

local gone = redis.call('HDEL', KEYS[2], ARGV[2])
if gone > 0 then
    redis.call('SETNX', KEYS[1], ARGV[1])
    redis.call('INCR', KEYS[1])
end
return gone
