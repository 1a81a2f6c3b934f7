-- Loops that do not end by themselves.

--# plain loop | timeout
while true do end

--# repeat until | timeout
repeat until false

--# numeric for | timeout
for i = 1, math.huge do end

--# loop behind pcall | timeout
while true do pcall(function() while true do end end) end

--# loop behind xpcall with a looping handler | timeout
while true do
  xpcall(function() error("x") end, function() while true do end end)
end

--# loop behind aegis.try | timeout
while true do aegis.try(function() while true do end end) end

--# nested pcalls | timeout
local function nest(depth)
  if depth == 0 then while true do end end
  while true do pcall(nest, depth - 1) end
end
nest(50)

--# coroutine loop | timeout
local co = coroutine.create(function() while true do end end)
while true do coroutine.resume(co) end

--# coroutine wrap loop | timeout
for _ in coroutine.wrap(function() while true do coroutine.yield(1) end end) do end

--# coroutine behind pcall | timeout
while true do pcall(coroutine.wrap(function() while true do pcall(function() while true do end end) end end)) end

--# nested coroutines | timeout
local function spin(depth)
  if depth == 0 then while true do end end
  coroutine.wrap(spin)(depth - 1)
end
spin(30)

--# a fresh coroutine each time | timeout
while true do coroutine.resume(coroutine.create(function() coroutine.yield() end)) end

--# yields to nobody | timeout
while true do coroutine.yield() end

--# waits in a coroutine for ever | timeout
coroutine.wrap(function() while true do aegis.sleep(0) end end)()

--# catches its cancellation | timeout
while true do pcall(aegis.sleep, "1ms") end

--# index metamethod loop | timeout
local t = setmetatable({}, { __index = function() while true do end end })
return t.x

--# index metamethod that catches | timeout
local t = setmetatable({}, { __index = function() while true do pcall(function() while true do end end) end end })
while true do pcall(function() return t.x end) end

--# newindex loop | timeout
local t = setmetatable({}, { __newindex = function() while true do end end })
t.x = 1

--# call metamethod | timeout
local t = setmetatable({}, {})
getmetatable(t).__call = function(self) return self() end
while true do pcall(t) end

--# eq lt le concat len unm | timeout
local function spin() while true do end end
local m = { __eq = spin, __lt = spin, __le = spin, __concat = spin, __len = spin, __unm = spin, __add = spin }
local a, b = setmetatable({}, m), setmetatable({}, m)
pcall(function() return a == b end)

--# tostring metamethod | timeout
print(setmetatable({}, { __tostring = function() while true do end end }))

--# iter metamethod | timeout
for _ in setmetatable({}, { __iter = function() return function() return 1 end end }) do end

--# sort with a looping comparison | timeout
table.sort({ 3, 2, 1 }, function() while true do end end)

--# sort with a catching comparison | timeout
while true do
  pcall(table.sort, { 3, 2, 1 }, function() while true do pcall(function() while true do end end) end end)
end

--# sort of a long list | timeout
local t = table.create(2000000, 0)
for i = 1, #t do t[i] = (i * 7919) % 1000003 end
while true do table.sort(t) end

--# sort by a C function | timeout script.error
local t = table.create(1000000, "x")
while true do pcall(table.sort, t, rawequal) end

--# sort of long equal texts | timeout
local a, b = ("x"):rep(8000000) .. "a", ("x"):rep(8000000) .. "b"
local t = {}
for i = 1, 1000 do t[i] = if i % 2 == 0 then a else b end
table.sort(t)

--# gsub callback | timeout
(("x"):rep(100)):gsub("x", function() while true do end end)

--# gsub for ever | timeout
while true do ("x"):rep(1000):gsub(".", { x = "y" }) end

--# exponential pattern | timeout
(("a"):rep(30)):find(("a?"):rep(30) .. ("a"):rep(30) .. "b")

--# quadratic pattern | timeout
(("a"):rep(300000)):find(".-.-.-b")

--# nested captures | timeout script.error
(("a"):rep(100000)):match("(.-)(.-)(.-)(.-)(.-)b")

--# a long set | timeout string.pattern
(("a"):rep(4000000)):find("[" .. ("b"):rep(1000000) .. "a]*c")

--# back references | timeout
(("a"):rep(200000)):find("(a*)(a*)%1%2b")

--# balance | timeout
(("("):rep(200000)):find("%b()x")

--# long needle | value timeout
local text, needle = ("a"):rep(1000000), ("a"):rep(100000) .. "b"
return text:find(needle, 1, true) == nil

--# long needle without plain | value timeout
local text, needle = ("a"):rep(1000000), ("a"):rep(100000) .. "b"
return text:find(needle) == nil

--# long separator | value timeout
return #("a"):rep(1000000):split(("a"):rep(100000) .. "b")

--# table.move far | timeout value script.error
while true do pcall(table.move, {}, 1, 2000000000, 2) end

--# table.move of what is there | timeout
local t = table.create(2000000, 1)
while true do table.move(t, 1, #t, 2) end

--# insert before a sparse list | timeout value script.error
local t = {}
for i = 0, 30 do t[2 ^ i] = 1 end
for i = 1, 100 do table.insert(t, 1, i) table.remove(t, 1) end

--# table.concat again and again | timeout
local t = table.create(100000, "x")
while true do table.concat(t, ",") end

--# foreach | timeout
table.foreach(setmetatable({ 1 }, nil), function() while true do end end)

--# foreachi with a C function | timeout value
local t = table.create(3000000, 1)
while true do table.foreachi(t, tostring) end

--# select in a loop | timeout
local t = table.create(5000, 1)
while true do select("#", unpack(t)) end

--# next on an emptied table | timeout
local t = {}
for i = 1, 1000000 do t[i .. ""] = i if i % 1000 == 0 then table.clear(t) end end
while true do next(t) end

--# string.rep in a loop | timeout
while true do local _ = ("x"):rep(1000000) end

--# os.date with a long format | value
return pcall(os.date, ("%c"):rep(1000000)) == false

--# log flood | timeout
while true do print("x") end

--# log flood of long lines | timeout
local line = ("x"):rep(1000000)
while true do aegis.log.info(line, { a = 1 }) end

--# progress flood | timeout
for i = 1, math.huge do if i % 1000 == 0 then ctx:progress(i) end end

--# error storm | timeout
while true do pcall(error, { message = "x" }) end

--# faults in a storm | timeout
while true do pcall(aegis.kv.get) end

--# calls in a storm | timeout
while true do aegis.time.now() end

--# tasks that loop | timeout
ctx:all { function() while true do end end, function() while true do end end }

--# tasks that catch | timeout
ctx:map({ 1, 2, 3 }, function() while true do pcall(aegis.sleep, "1ms") end end)

--# tasks in tasks | timeout
local function fork(n) ctx:all { function() if n > 0 then fork(n - 1) else while true do end end end } end
fork(20)

--# utf8 and buffers | timeout
local b = buffer.create(1000000)
while true do buffer.fill(b, 0, 65) utf8.len(buffer.tostring(b)) end

--# kv update that never agrees | timeout
aegis.kv.update("x", function() while true do end end)
