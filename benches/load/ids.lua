-- Asks for the ids that benches/load/run made, each in turn. The requests are made beforehand: a
-- generator that is slower than a server measures itself.
local requests = {}
local number = 0

init = function()
  for id = 0, 999 do
    requests[id + 1] = wrk.format("GET", string.format("/v1/files/65%022x/versions", id))
  end
end

request = function()
  number = number % 1000 + 1
  return requests[number]
end
