-- The accounts and reservations of one tenant, which every script of the ledger begins with.
-- Times are seconds since the epoch, amounts are integers below 2^53, which Lua's doubles hold exactly.
--
-- KEYS[1] due     sorted set: reservation by when it expires
-- KEYS[2] gone    sorted set: expired reservation by when its charge can't be replaced any more
-- ARGV[1] prefix of the tenant's other keys (they share the slot of KEYS, so a cluster runs this too):
--           a:<account>      hash: used, reserved, expired, warned, keep_until, epoch (how often reset)
--           h:<reservation>  hash: for each account "held due charged epoch": what is held, what of it is
--                            charged when it expires, what was charged then, in which epoch of the account
-- ARGV[2] now
-- ARGV[3] when the charge of what expires now can't be replaced any more
--
-- Any script may return AGAIN: more has expired than one call should see to, and nothing else was done.

local due, gone = KEYS[1], KEYS[2]
local prefix, now, forget_at = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local STEP = 500 -- reservations that one call lets expire at most
local GRACE_S = 60 -- for clocks that differ
local FAR_MS = 2 ^ 53

local accounts = {}

-- Give an account; what is changed in it must be noted with touch() and is written by save().
local function account(name)
    if not accounts[name] then
        local its = redis.call('HMGET', prefix .. 'a:' .. name,
            'used', 'reserved', 'expired', 'warned', 'keep_until', 'epoch')
        accounts[name] = {
            used = tonumber(its[1] or 0), reserved = tonumber(its[2] or 0), expired = tonumber(its[3] or 0),
            warned = tonumber(its[4] or 0), keep_until = tonumber(its[5] or 0), epoch = tonumber(its[6] or 0),
            there = its[1] ~= false,
        }
        accounts[name].kept = accounts[name].reserved > 0 or not its[1] -- that is, it has no end set
    end
    return accounts[name]
end

local function touch(its, keep_until)
    its.touched = true
    its.keep_until = math.max(its.keep_until, keep_until)
end

local function expire_in(key, seconds)
    local ms = math.max(seconds + GRACE_S, 1) * 1000
    if ms < FAR_MS then
        redis.call('PEXPIRE', key, string.format('%.0f', ms))
    else
        redis.call('PERSIST', key)
    end
end

local function save()
    for name, its in pairs(accounts) do
        if its.touched then
            local key = prefix .. 'a:' .. name
            redis.call('HSET', key, 'used', its.used, 'reserved', its.reserved, 'expired', its.expired,
                'warned', its.warned, 'keep_until', its.keep_until, 'epoch', its.epoch)
            if its.reserved == 0 or not its.kept then
                expire_in(key, its.reserved > 0 and FAR_MS or its.keep_until - now)
            end
        end
    end
end

-- Give what a reservation holds, by account.
local function holds_of(id)
    local holds = {}
    local flat = redis.call('HGETALL', prefix .. 'h:' .. id)
    for i = 1, #flat, 2 do
        local held, its_due, charged, epoch = string.match(flat[i + 1], '(%d+) (%d+) (%d+) (%d+)')
        holds[flat[i]] = {
            held = tonumber(held), due = tonumber(its_due),
            charged = tonumber(charged), epoch = tonumber(epoch),
        }
    end
    return holds
end

local function keep_holds(id, holds)
    local flat = {}
    for name, its in pairs(holds) do
        table.insert(flat, name)
        table.insert(flat, string.format('%.0f %.0f %.0f %.0f', its.held, its.due, its.charged, its.epoch))
    end
    if #flat > 0 then
        redis.call('HSET', prefix .. 'h:' .. id, unpack(flat))
    end
end

-- Lower what an account has reserved; not below zero, as a server that evicts keys may have lost a part.
local function let_go(its, amount)
    its.reserved = math.max(0, its.reserved - amount)
end

local function flat_standings(names)
    local flat = {}
    for _, name in ipairs(names) do
        local its = account(name)
        table.insert(flat, its.used)
        table.insert(flat, its.reserved)
        table.insert(flat, its.expired)
    end
    return flat
end

-- Turn a step of expired reservations into charges; true if there may be more.
local function expire()
    local ids = redis.call('ZRANGEBYSCORE', due, '-inf', ARGV[2], 'LIMIT', 0, STEP)
    for _, id in ipairs(ids) do
        local holds = holds_of(id)
        for name, hold in pairs(holds) do
            local its = account(name)
            let_go(its, hold.held)
            its.used = its.used + hold.due
            its.expired = its.expired + hold.due
            touch(its, forget_at) -- an account outlives the charges that name it
            hold.charged = hold.due + (hold.epoch == its.epoch and hold.charged or 0)
            hold.held, hold.due, hold.epoch = 0, 0, its.epoch
        end
        redis.call('ZREM', due, id)
        redis.call('ZADD', gone, ARGV[3], id)
        keep_holds(id, holds)
        expire_in(prefix .. 'h:' .. id, forget_at - now)
        expire_in(gone, forget_at - now)
    end
    return #ids == STEP
end

-- Forget a step of the reservations that expired long ago.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', gone, '-inf', ARGV[2], 'LIMIT', 0, STEP)) do
    redis.call('UNLINK', prefix .. 'h:' .. id)
    redis.call('ZREM', gone, id)
end
if expire() then
    save()
    return redis.status_reply('AGAIN')
end
