-- Ends what the fleet has stored of one file, or of all files, and appends the purge for every
-- node. A value that was fetched before cannot be stored afterwards, since the fence has moved.
-- KEYS: state, stream; to purge one file also its fence, value and lease.
-- ARGV: a fresh epoch, then the fields of the record.
local state, stream, fence, value, lease = unpack(KEYS)
if fence then
  -- The fence outlives every lookup after which a value may still be stored, so an absent fence is
  -- safe.
  redis.call('SET', fence, later(redis.call('GET', fence)), 'EX', 60)
  redis.call('DEL', value, lease)
else
  redis.call('HSET', state, 'generation', later(redis.call('HGET', state, 'generation')))
end
return append(state, stream, unpack(ARGV))
