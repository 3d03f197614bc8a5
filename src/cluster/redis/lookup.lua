-- Returns the value of a file, or whether this node or another one holds the lease to fetch it.
-- KEYS: state, fence, value, lease. ARGV: a token, how long it may hold the lease in ms.
local state, fence, value, lease = unpack(KEYS)
local stamp = stamp_of(state)
if not stamp then return redis.error_reply('EMPTIED no node has joined since') end
local reply = {stamp, redis.call('GET', fence) or '0', whole(now()), 'wait', ''}
local stored = redis.call('GET', value)
if stored and string.sub(stored, 1, #stamp + 1) == stamp .. ' ' then
  reply[4], reply[5] = 'found', string.sub(stored, #stamp + 2)
elseif redis.call('SET', lease, ARGV[1], 'NX', 'PX', ARGV[2]) then
  reply[4] = 'lead'
end
return reply
