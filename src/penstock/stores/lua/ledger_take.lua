-- Charge so much as fits.
-- ARGV[4...] for each line: account, its keep_until, limit, amount
-- Returns what was charged, line by line.

local taken = {}
for i = 4, #ARGV, 4 do
    local its = account(ARGV[i])
    local fits = math.min(tonumber(ARGV[i + 3]), tonumber(ARGV[i + 2]) - its.used - its.reserved)
    if fits > 0 then
        its.used = its.used + fits
        touch(its, tonumber(ARGV[i + 1]))
    end
    table.insert(taken, math.max(0, fits))
end
save()
return taken
