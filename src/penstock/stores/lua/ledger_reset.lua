-- Set what is used back to zero. In the new epoch no late settlement takes back a charge of before.
-- ARGV[4...] accounts

for i = 4, #ARGV do
    local its = account(ARGV[i])
    if its.there then
        its.used, its.expired, its.warned, its.epoch = 0, 0, 0, its.epoch + 1
        touch(its, 0)
    end
end
save()
