-- Ends what the fleet has of one file, or of all, and tells every node. Whatever was asked of the
-- upstream before cannot be stored afterwards: the fence has moved.
-- KEYS: state, stream, and of one file its fence, value and lease.
-- ARGV: a fresh epoch, then the fields of the record.
local state, stream, fence, value, lease = unpack(KEYS)
if fence then
  -- Longer than any lease may be kept for: an absent fence is no older than what it was.
  redis.call('SET', fence, later(redis.call('GET', fence)), 'EX', 60)
  redis.call('DEL', value, lease)
else
  redis.call('HSET', state, 'generation', later(redis.call('HGET', state, 'generation')))
end
return append(state, stream, unpack(ARGV))
