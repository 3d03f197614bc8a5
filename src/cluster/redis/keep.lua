-- Stores what was fetched with a ticket, unless something was purged since, or the ticket is so
-- old that it would no longer be known: a node that slept must not store what is old.
-- KEYS: state, fence, value, lease. ARGV: the ticket's stamp, fence and time; the token of the
-- lease, the ttl in ms, the value.
local state, fence, value, lease = unpack(KEYS)
local stamp, seen, at, token, ttl, bytes = unpack(ARGV)
if redis.call('GET', lease) == token then redis.call('DEL', lease) end
-- A ticket of the future is of before the clock was set back: nobody knows how old it is.
local age = now() - tonumber(at)
if stamp_of(state) ~= stamp or (redis.call('GET', fence) or '0') ~= seen
  or age < 0 or age > 30 * 1000000 then
  return 0
end
redis.call('SET', value, stamp .. ' ' .. bytes, 'PX', ttl)
return 1
