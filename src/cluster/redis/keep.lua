-- Stores a value that was fetched after a lookup. Refuses it if a purge came after the lookup, or
-- if the lookup is so old that the purge may be forgotten: a node that was suspended must not store
-- an old value.
-- KEYS: state, fence, value, lease. ARGV: stamp, fence and time of the lookup; the token of the
-- lease, the ttl in ms, the value.
local state, fence, value, lease = unpack(KEYS)
local stamp, seen, at, token, ttl, bytes = unpack(ARGV)
if redis.call('GET', lease) == token then redis.call('DEL', lease) end
-- A lookup in the future was made before the clock was set back, so its age is unknown.
local age = now() - tonumber(at)
if stamp_of(state) ~= stamp or (redis.call('GET', fence) or '0') ~= seen
  or age < 0 or age > 30 * 1000000 then
  return 0
end
redis.call('SET', value, stamp .. ' ' .. bytes, 'PX', ttl)
return 1
