-- Debits cells of several quotas (GCRA). What a node spent on credit is debited whatever is left;
-- what it asks for in advance is granted as far as there is any.
-- KEYS: a quota each. ARGV, for each: the microseconds of one cell, the burst, the cells asked
-- for, the cells owed (less than none: given back), the cells to leave to others. Returns for each: the cells granted, those
-- left, and the microseconds until one more would conform.
local time = now()
local replies = {}
for place, key in ipairs(KEYS) do
  local at = 5 * place - 4
  local cell, burst = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local asked, owed, reserve = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local tat = math.max(tonumber(redis.call('GET', key) or '0'), time)
  -- Debts count: a burst, and two cells on credit of each of very many nodes. A clock that was set
  -- back makes none beyond that.
  tat = math.min(math.max(tat + owed * cell, time), time + (2 * burst + 64) * cell)
  -- A thousandth of a cell is for what doubles lose.
  local left = math.max(0, math.floor((time + burst * cell - tat) / cell + 0.001))
  local granted = math.min(asked, math.max(0, left - reserve))
  tat = tat + granted * cell
  local wait = math.max(0, tat + cell - burst * cell - time)
  if tat > time then
    redis.call('SET', key, string.format('%.2f', tat), 'PX', whole(math.ceil((tat - time) / 1000)))
  else
    redis.call('DEL', key)
  end
  replies[place] = {granted, left - granted, whole(math.ceil(wait))}
end
return replies
