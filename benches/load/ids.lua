-- Asks for the ids that benches/load/run made, each in turn.
local number = 0

request = function()
  number = (number + 1) % 1000
  return wrk.format("GET", string.format("/v1/files/65%022x/versions", number))
end
