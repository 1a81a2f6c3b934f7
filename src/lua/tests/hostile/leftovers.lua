local state = 0

local function leave()
  state = 1
  leak = "global"
  string, print, require = nil, error, nil
  pcall(rawset, _G, "leak", 1)
  pcall(function() _G.leak = 1 end)
  -- Everything that can be reached from the libraries, metatables included.
  local seen = {}
  local function walk(value, depth)
    local kind = type(value)
    if value == nil or value ~= value or depth > 4 or seen[value] then
      return
    end
    seen[value] = true
    local meta = getmetatable(value)
    if type(meta) == "table" then
      pcall(rawset, meta, "leak", 1)
      pcall(rawset, meta, "__index", { leak = 1 })
      pcall(function() meta.leak = 1 end)
      walk(meta, depth + 1)
    end
    pcall(setmetatable, value, { __index = { leak = 1 } })
    if kind == "table" then
      pcall(rawset, value, "leak", 1)
      pcall(function() value.leak = 1 end)
      pcall(table.insert, value, "leak")
      pcall(table.clear, value)
      for _, inner in value do
        walk(inner, depth + 1)
      end
    end
  end
  local thread = coroutine.create(function() coroutine.yield() end)
  coroutine.resume(thread)
  for _, value in { _G, aegis, aegis.kv, aegis.json, aegis.json.null, math, table, os, vector, buffer, utf8, bit32, debug, coroutine, "", 1, true, thread, walk } do
    walk(value, 0)
  end
  for _, value in { vector.create(1, 2, 3), buffer.create(4), aegis.json.list({}) } do
    local meta = getmetatable(value)
    if type(meta) == "table" then
      pcall(rawset, meta, "__add", error)
      pcall(rawset, meta, "leak", 1)
    end
  end
  pcall(function() error(setmetatable({}, { __tostring = function() return "leak" end })) end)
  local caught, problem = aegis.try(function() aegis.kv.get() end)
  pcall(rawset, getmetatable(problem) or {}, "leak", 1)
end

return aegis.job {
  run = function(ctx)
    local required, find = require, string.find
    local function stuck()
      return coroutine.wrap(function() return required("@lib/stuck") end)
    end
    local found = {}
    local function look(name, is_clean)
      local ok, clean = pcall(is_clean)
      if not (ok and clean) then
        found[#found + 1] = name
      end
    end
    if ctx.params.first then
      required("@lib/counter").count = 5
      stuck()()
      math.randomseed(42)
      leave()
      return "left"
    end
    if state == 1 then
      required("@lib/counter").count = 5
      stuck()()
      math.randomseed(42)
    end
    look("the file's own state", function() return state == 0 end)
    look("a global", function() return leak == nil and _G.leak == nil end)
    look("a library's name", function() return string.upper("a") == "A" and print ~= error and require ~= nil end)
    look("a library", function()
      for _, library in { math, table, os, vector, buffer, utf8, bit32, debug, coroutine, aegis.kv, aegis.json } do
        if rawget(library, "leak") ~= nil or table.find(library, "leak") or next(library) == nil then
          return false
        end
      end
      return true
    end)
    look("a metatable", function()
      for _, value in { "", vector.create(1, 2, 3), buffer.create(4), 1, true, print, aegis.json.list({}), aegis.json.null } do
        local meta = getmetatable(value)
        if type(meta) == "table" and rawget(meta, "leak") ~= nil then
          return false
        end
      end
      return ("").leak == nil and vector.create(1, 2, 3) + vector.one == vector.create(2, 3, 4)
    end)
    look("an error's metatable", function()
      local _, problem = aegis.try(function() aegis.kv.get() end)
      return problem.leak == nil and find(tostring(problem), "leak") == nil
    end)
    look("a required file's state", function() return required("@lib/counter").count == 0 end)
    look("require in the middle", function() stuck()() return true end)
    look("the dice", function()
      local got = math.random(2 ^ 30)
      math.randomseed(42)
      return got ~= math.random(2 ^ 30)
    end)
    look("the arguments", function() return ctx.params.first == false end)
    return if #found == 0 then aegis.json.list({}) else found
  end,
}
