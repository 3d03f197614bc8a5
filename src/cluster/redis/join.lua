-- Returns the end of the stream. Another server, or this one after a restart or a failover, gets a
-- new epoch: values and records of the old epoch may be incomplete.
-- KEYS: state, stream. ARGV: a fresh epoch, the server's replication id.
local state, stream = unpack(KEYS)
local fresh, replid = unpack(ARGV)
if redis.call('HGET', state, 'replid') ~= replid or redis.call('HEXISTS', state, 'epoch') == 0 then
  redis.call('HSET', state, 'epoch', fresh, 'replid', replid)
end
-- Nodes with a record in the last three seconds. Each node writes one every second.
local nodes = {}
for _, entry in ipairs(redis.call('XREVRANGE', stream, '+', whole(now() / 1000 - 3000), 'COUNT', 500)) do
  local fields = entry[2]
  for at = 1, #fields, 2 do
    if fields[at] == 'node' then nodes[#nodes + 1] = fields[at + 1] end
  end
end
local epoch, seq = unpack(redis.call('HMGET', state, 'epoch', 'seq'))
local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
return {epoch, seq or '0', last and last[1] or '0-0', nodes}
