-- wrk script that requests ids that do not exist, a new one each time.
math.randomseed(os.time())

request = function()
  local id = string.format("%08x%08x%08x", math.random(0, 0xffffffff), math.random(0, 0xffffffff),
    math.random(0, 0xffffffff))
  return wrk.format("GET", "/v1/files/" .. id .. "/versions")
end
