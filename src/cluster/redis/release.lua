-- Gives a fill lease back, if the token still holds it.
-- KEYS: lease. ARGV: the token that holds it.
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
