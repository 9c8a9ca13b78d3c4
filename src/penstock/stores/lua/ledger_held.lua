-- Count the reservations under way.

save()
return redis.call('ZCARD', due)
