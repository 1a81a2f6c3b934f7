local test = require("@std/test")
local expect = test.expect

local function transcript(lines)
  local said = { "Standup" }
  for line = 1, lines do
    said[line + 1] = `Ada: Billing API depends on Postgres Cluster {line}.`
  end
  return table.concat(said, "\n")
end

-- One run over files by their paths. `graph` remembers what was finished.
local function ingest(files, graph, options)
  options = options or {}
  return test.try("ingest_transcripts.lua", {
    params = options.params,
    fakes = {
      fs = {
        list = function()
          if not files then
            error({ code = "fs.unknown_root", message = "there is no root" })
          end
          local list = {}
          for path, content in files do
            local name = string.match(path, "[^/:]+$")
            table.insert(list, { path = path, name = name, kind = "file", bytes = #content, modified_at = "2026-11-20T00:00:00Z" })
          end
          table.sort(list, function(a, b)
            return a.path < b.path
          end)
          return list
        end,
        read = function(path)
          if files[path] == "broken" then
            error({ code = "fs.too_large", message = "it is too large" })
          end
          return files[path]
        end,
      },
      graph = {
        query = function(_, _, cypher, params)
          if options.away then
            error({ code = "redis.unavailable", message = "no graph" })
          end
          if string.find(cypher, "SET t.hash", 1, true) or string.find(cypher, "t.hash = $hash", 1, true) then
            graph[params.hash] = true
          end
          local rows = {}
          if string.find(cypher, "RETURN t.hash", 1, true) then
            for hash in graph do
              table.insert(rows, { hash = hash })
            end
          end
          return { rows = rows, statistics = { nodes_created = 1 } }
        end,
      },
      llm = {
        chat = function(_, prompt)
          local _, lines = string.gsub(prompt, "\n", "")
          table.insert(options.asked, lines + 1)
          return { json = { entities = { { name = "Ada", kind = "person", line = 1 } }, relations = {} } }
        end,
      },
    },
  })
end

test.describe("ingest_transcripts", function()
  test.it("reads every transcript once, a step for each batch", function()
    local files = { ["transcripts:a.txt"] = transcript(2500), ["transcripts:b.jsonl"] = '{"role":"user","content":"Hi Bob"}' }
    files["transcripts:picture.png"] = "x"
    local graph = {}
    local ok, result, world = ingest(files, graph)
    expect(ok).to_be(true)
    expect({ result.files, result.utterances, #result.failed }).to_equal({ 2, 2501, 0 })
    local steps = {}
    for _, step in world.steps do
      table.insert(steps, step.name)
    end
    expect(steps).to_equal({
      "find the files",
      "look what is known",
      "transcripts:a.txt from 1",
      "transcripts:a.txt from 1001",
      "transcripts:a.txt from 2001",
      "transcripts:b.jsonl from 1",
    })
    expect(world.progress[2].done).to_be(result.bytes)
    local _, again = ingest(files, graph)
    expect({ again.files, again.utterances }).to_equal({ 2, 0 })
    local _, forced = ingest(files, graph, { params = { again = true } })
    expect(forced.utterances).to_be(2501)
  end)

  test.it("has a model read in smaller batches", function()
    local asked = {}
    local ok, result = ingest({ ["transcripts:a.txt"] = transcript(90) }, {}, { params = { llm = "main" }, asked = asked })
    expect(ok).to_be(true)
    expect(asked).to_equal({ 40, 40, 10 })
    expect(result.entities).to_be(3)
  end)

  test.it("goes on with the others when a file cannot be read", function()
    local files = { ["transcripts:a.txt"] = "broken", ["transcripts:b.txt"] = transcript(1) }
    local ok, result, world = ingest(files, {})
    expect(ok).to_be(true)
    expect(result.failed).to_equal({ { path = "transcripts:a.txt", problem = "it is too large" } })
    expect(result.utterances).to_be(1)
    expect(world.logs[1].level).to_be("warn")
  end)

  test.it("fails when nothing can be done", function()
    local ok, problem = ingest({ ["transcripts:a.txt"] = "broken" }, {})
    expect({ ok, problem.code }).to_equal({ false, "ingest.failed" })
    ok, problem = ingest({ ["transcripts:a.txt"] = "x" }, {}, { away = true })
    expect({ ok, problem.code }).to_equal({ false, "redis.unavailable" })
    local fine, result = ingest({}, {})
    expect({ fine, result.files }).to_equal({ true, 0 })
  end)

  test.it("waits for somebody to name a folder", function()
    local ok, result, world = ingest(nil, {})
    expect({ ok, result.files }).to_equal({ true, 0 })
    expect(world.logs[1].text).to_contain("fs.roots")
  end)
end)
