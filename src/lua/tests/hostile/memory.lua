-- Bombs: more memory, depth or output than there is.

--# table bomb | run.memory timeout
local t = {}
for i = 1, 1e9 do t[i] = {} end

--# string doubling | run.memory timeout
local s = "x"
while true do s = s .. s end

--# caught string doubling | timeout
while true do
  pcall(function()
    local s = "x"
    while true do s = s .. s end
  end)
end

--# string.rep beyond memory | run.memory timeout
return ("x"):rep(1000000000)

--# string.rep beyond numbers | script.error run.memory
return ("xxxxxxxx"):rep(2000000000)

--# table.create beyond memory | run.memory script.error
return table.create(100000000, 0)

--# buffer beyond memory | run.memory script.error
return buffer.create(1000000000)

--# table.concat beyond memory | run.memory timeout
local s = ("x"):rep(1000000)
return table.concat(table.create(100000, s))

--# gsub that grows | run.memory timeout
local s = ("x"):rep(10000)
for _ = 1, 10 do s = s:gsub("x", s) end

--# format that grows | run.memory timeout
local s = "x"
while true do s = string.format("%s%s", s, s) end

--# closures | run.memory timeout
local f = function() end
while true do local g = f f = function() return g end end

--# coroutines kept | run.memory timeout
local t = {}
while true do t[#t + 1] = coroutine.create(function() end) end

--# deep recursion | script.error
local function down(n) return 1 + down(n + 1) end
return down(1)

--# deep recursion through pcall | script.error timeout run.memory value
local function down() return pcall(down) end
return down()

--# deep recursion through metamethods | script.error
local t = setmetatable({}, {})
getmetatable(t).__index = function(self, key) return self[key .. "x"] end
return t.x

--# deep recursion through sort | script.error
local function down() table.sort({ 2, 1 }, function() down() return false end) end
down()

--# deep recursion through coroutines | script.error value
local function down() return coroutine.wrap(down)() end
return down()

--# deep recursion through tostring | script.error
local m = {}
m.__tostring = function(self) return tostring(self) end
return tostring(setmetatable({}, m))

--# an index chain | script.error
local t = {}
for _ = 1, 200 do t = setmetatable({}, { __index = t }) end
local a = setmetatable({}, {})
getmetatable(a).__index = a
return a.x

--# many arguments | script.error run.memory timeout
return select("#", unpack(table.create(3000000, 1)))

--# many characters | script.error run.memory timeout
return string.byte(("x"):rep(20000000), 1, -1)

--# result bomb | run.result
local t = {}
for i = 1, 400000 do t[i] = i end
return t

--# result that contains itself | run.result
local t = {}
t.t = t
return t

--# result that multiplies | run.result
local t = { "x" }
for _ = 1, 40 do t = { t, t } end
return t

--# huge error message | script.error timeout
error(("x"):rep(10000000))

--# huge error table | script.error timeout
error({ message = ("x"):rep(10000000), details = table.create(1000000, "x") })

--# error with a hostile tostring | script.error
error(setmetatable({}, { __tostring = function() while true do end end }))

--# json bomb | args.json timeout
local t = { "x" }
for _ = 1, 60 do t = { t, t } end
return aegis.json.encode(t)

--# json of great depth | json.syntax value
return aegis.json.decode(("["):rep(100000) .. ("]"):rep(100000))

--# arguments that multiply | args.json timeout
local t = { "x" }
for _ = 1, 60 do t = { t, t } end
aegis.kv.set("x", t)

--# json of very many values | json.too_large timeout
return aegis.json.decode("[" .. ("0,"):rep(7000000) .. "0]")

--# file: json of very many values | json.too_large timeout
aegis.json.decode("[" .. ("0,"):rep(4000000) .. "0]")

--# hash of everything | args.size timeout
return aegis.hash.sha256(("x"):rep(30000000))

--# sleepers | value timeout
local waits = {}
for i = 1, 1000 do waits[i] = function() aegis.sleep("1ms") end end
return #ctx:all(waits)

--# memory after memory | run.memory timeout
pcall(function() local t = {} for i = 1, 1e9 do t[i] = {} end end)
local t = {}
for i = 1, 1e9 do t[i] = {} end

--# error table that multiplies | script.error
local t = {}
for i = 1, 200 do t[i] = t end
error(t)

--# error table of emptied tables | script.error timeout
local e, t = {}, {}
for i = 1, 200000 do e["k" .. i] = true end
for key in e do e[key] = nil end
for i = 1, 200 do t[i] = e end
error(t)

--# error table of long strings | script.error
local s, t = ("x"):rep(10000000), {}
for i = 1, 200 do t[i] = s end
error(t)

--# file: error table that multiplies | script.error
local t = {}
for i = 1, 200 do t[i] = t end
error(t)

--# fields that multiply a string | args.size
local s, f = ("x"):rep(1000000), {}
for i = 1, 10000 do f["k" .. i] = s end
aegis.log.info("x", f)

--# file: fields that multiply a string | args.size
local s, f = ("x"):rep(1000000), {}
for i = 1, 10000 do f["k" .. i] = s end
aegis.log.info("x", f)

--# a list that multiplies a string | args.size timeout
local s = ("x"):rep(20000000)
aegis.docker.create { image = "x", dns = table.create(100000, s) }

--# a list that multiplies a table | args.size args.type args.missing args.unknown
aegis.docker.create { image = "x", ports = table.create(100000, {}) }

--# tasks that multiply a string | args.size permission.denied timeout
local s = ("x"):rep(10000000)
ctx:map(table.create(1000, s), function(body)
  return aegis.http.post("http://127.0.0.1:1/", { body = body })
end, { limit = 1000 })

--# result of emptied tables | value run.result timeout
local e, t = {}, {}
for i = 1, 200000 do e["k" .. i] = true end
for key in e do e[key] = nil end
for i = 1, 15000 do t[i] = e end
return t

--# json of emptied tables | value args.json timeout
local e, t = {}, {}
for i = 1, 200000 do e["k" .. i] = true end
for key in e do e[key] = nil end
for i = 1, 15000 do t[i] = e end
return #aegis.json.encode(t)

--# fields of emptied tables | value args.size timeout
local e, t = {}, {}
for i = 1, 200000 do e["k" .. i] = true end
for key in e do e[key] = nil end
for i = 1, 50000 do t["f" .. i] = e end
aegis.log.info("x", t)
