-- Let go of a reservation, and charge.
-- ARGV[4] reservation, then for each line: account, its keep_until, amount, its warn_from or ""
-- Returns the lines that are warned of now (from 0) and the standings, or nil if there is nothing to settle.

local id = ARGV[4]
local final_at = redis.call('ZSCORE', gone, id)
if not redis.call('ZSCORE', due, id) and not (final_at and tonumber(final_at) > now) then
    save()
    return false
end

for name, hold in pairs(holds_of(id)) do
    local its = account(name)
    let_go(its, hold.held)
    if hold.epoch == its.epoch then -- else the account was reset meanwhile, and this charge with it
        local back = math.min(hold.charged, its.expired)
        its.used = its.used - back
        its.expired = its.expired - back
    end
    touch(its, 0)
end
redis.call('UNLINK', prefix .. 'h:' .. id)
redis.call('ZREM', due, id)
redis.call('ZREM', gone, id)

local names, warned = {}, {}
for i = 5, #ARGV, 4 do
    local its, amount = account(ARGV[i]), tonumber(ARGV[i + 2])
    table.insert(names, ARGV[i])
    if amount > 0 then
        its.used = its.used + amount
        touch(its, tonumber(ARGV[i + 1]))
    end
end
for at, name in ipairs(names) do
    local its, warn_from = account(name), tonumber(ARGV[4 * at + 4])
    if warn_from and its.used >= math.max(1, warn_from) and its.warned == 0 then
        its.warned = 1
        touch(its, 0)
        table.insert(warned, at - 1)
    end
end
save()
return { warned, flat_standings(names) }
