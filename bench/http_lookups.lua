-- wrk: every request asks for one of the first orders, by its key.
local number = 0
request = function()
  number = (number + 7919) % 4096
  return wrk.format("GET", wrk.path .. "?order_id=" .. string.format("o%06d", number))
end
