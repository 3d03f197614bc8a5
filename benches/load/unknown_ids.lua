-- Asks for ids that do not exist, each another one.
math.randomseed(os.time())

request = function()
  local id = string.format("%08x%08x%08x", math.random(0, 0xffffffff), math.random(0, 0xffffffff),
    math.random(0, 0xffffffff))
  return wrk.format("GET", "/v1/files/" .. id .. "/versions")
end
