-- Read accounts.
-- ARGV[4...] accounts
-- Returns the standings.

local names = {}
for i = 4, #ARGV do
    table.insert(names, ARGV[i])
end
save()
return flat_standings(names)
