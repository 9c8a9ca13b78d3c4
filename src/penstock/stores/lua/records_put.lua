-- Write records of one table, together.
-- KEYS[1] version, KEYS[2] hash of the records
-- ARGV[1] where the version of a new table starts, then key and value of each record

redis.call('SETNX', KEYS[1], ARGV[1])
redis.call('INCR', KEYS[1])
for i = 2, #ARGV, 2 do
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
end
