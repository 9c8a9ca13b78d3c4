-- Hold every line or none.
-- ARGV[4] reservation, ARGV[5] when it expires, ARGV[6] output tokens wished for, ARGV[7] the least of them,
-- then for each line: account, its keep_until, limit, fixed, rate, 1 if it is charged on expiry or else 0
-- Returns the output tokens, the lines without room (from 0; then nothing is held), and the standings.

local PER = 1000000 -- output tokens that a rate is for
local id, tokens, least = ARGV[4], tonumber(ARGV[6]), tonumber(ARGV[7])
local lines, names = {}, {}
for i = 8, #ARGV, 6 do
    table.insert(names, ARGV[i])
    table.insert(lines, {
        name = ARGV[i], keep_until = tonumber(ARGV[i + 1]), limit = tonumber(ARGV[i + 2]),
        fixed = tonumber(ARGV[i + 3]), rate = tonumber(ARGV[i + 4]), due = ARGV[i + 5] == '1',
    })
end

-- What a line needs. tokens * rate may pass 2^53, so both are cut at PER, and each part is exact; where
-- the sum itself passes 2^53 it is inexact, and has no room anyway.
local function need(line, n)
    local rate_rest, n_rest = math.fmod(line.rate, PER), math.fmod(n, PER)
    local rate_whole, n_whole = (line.rate - rate_rest) / PER, (n - n_rest) / PER
    return line.fixed + n * rate_whole + n_whole * rate_rest + math.ceil(n_rest * rate_rest / PER)
end

local function crowded(n)
    local needs, after, full = {}, {}, {}
    for at, line in ipairs(lines) do
        local its = account(line.name)
        needs[at] = need(line, n)
        after[line.name] = (after[line.name] or its.used + its.reserved) + needs[at]
    end
    for at, line in ipairs(lines) do
        if needs[at] > 0 and after[line.name] > line.limit then
            table.insert(full, at - 1)
        end
    end
    return full
end

if #crowded(tokens) > 0 then
    local full = crowded(least)
    if #full > 0 then
        save()
        return { 0, full, flat_standings(names) }
    end
    -- What lines need only rises with the tokens, so there is one border to find.
    local fits = least
    while tokens - fits > 1 do
        local middle = fits + math.floor((tokens - fits) / 2)
        if #crowded(middle) > 0 then
            tokens = middle
        else
            fits = middle
        end
    end
    tokens = fits
end

local holds = holds_of(id)
for _, line in ipairs(lines) do
    local amount = need(line, tokens)
    if amount > 0 then
        local its = account(line.name)
        its.reserved = its.reserved + amount
        touch(its, line.keep_until)
        local hold = holds[line.name] or { held = 0, due = 0, charged = 0, epoch = its.epoch }
        hold.held = hold.held + amount
        hold.due = hold.due + (line.due and amount or 0)
        holds[line.name] = hold
    end
end
save()
redis.call('ZADD', due, ARGV[5], id)
keep_holds(id, holds)
if redis.call('ZREM', gone, id) > 0 then
    redis.call('PERSIST', prefix .. 'h:' .. id)
end
return { tokens, {}, flat_standings(names) }
