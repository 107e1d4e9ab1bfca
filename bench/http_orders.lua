-- wrk: every request places an order of its own. The path is that of the URL.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local me = tostring({}):gsub("[^%w]", "")
local number = 0
request = function()
  number = number + 1
  local body = '{"order_id":"' .. me .. "-" .. number .. '","customer_id":"customer-1","note":"' .. string.rep("x", 150) .. '"}'
  return wrk.format(nil, nil, nil, body)
end
