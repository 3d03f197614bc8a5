-- Where the stream stands. Values and records of another server, or of this one before it was
-- restarted or took another's place, are of another epoch: some may be missing.
-- KEYS: state, stream. ARGV: a fresh epoch, the server's replication id.
local state, stream = unpack(KEYS)
local fresh, replid = unpack(ARGV)
if redis.call('HGET', state, 'replid') ~= replid or redis.call('HEXISTS', state, 'epoch') == 0 then
  redis.call('HSET', state, 'epoch', fresh, 'replid', replid)
end
local epoch, seq = unpack(redis.call('HMGET', state, 'epoch', 'seq'))
local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
return {epoch, seq or '0', last and last[1] or '0-0'}
