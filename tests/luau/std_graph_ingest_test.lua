local test = require("@std/test")
local ingest = require("@std/graph_ingest")
local expect = test.expect

local TEXT = [[
Standup of the platform team

[2026-11-20 09:15] Ada: Billing API depends on Postgres Cluster. We moved it.
It was slow before.
[2026-11-20 09:16] Grace Hopper: Thanks! Write to ops@example.com, see https://status.example.com/x #billing
Bob (2026-11-20T09:17:00Z): Alan works at ACME Corp.
]]

local JSONL = table.concat({
  '{"type":"summary","summary":"nothing said"}',
  '{"role":"user","content":"Does Redis run on Node Seven?","timestamp":"2026-11-20T09:15:00Z"}',
  '{"type":"assistant","message":{"role":"assistant","content":[{"type":"text","text":"Yes."},{"type":"tool_use","id":"1"}]},"timestamp":1795166100000}',
  "not json",
  '{"speaker":"Ada","text":"Good."}',
}, "\n")

local function names(found)
  local list = {}
  for _, entity in found.entities do
    table.insert(list, entity.name)
  end
  table.sort(list)
  return list
end

test.describe("graph_ingest.parse", function()
  test.it("reads text with speakers and times", function()
    local read = ingest.parse("standup.txt", TEXT)
    expect(read.lines).to_be(6)
    local said = {}
    for _, one in read.utterances do
      table.insert(said, { one.line, one.speaker, one.at })
    end
    expect(said).to_equal({
      { 3, "Ada", "2026-11-20T09:15:00Z" },
      { 5, "Grace Hopper", "2026-11-20T09:16:00Z" },
      { 6, "Bob", "2026-11-20T09:17:00Z" },
    })
    expect(read.utterances[1].text).to_be("Billing API depends on Postgres Cluster. We moved it. It was slow before.")
  end)

  test.it("reads JSONL of several makes, and passes over what says nothing", function()
    local read = ingest.parse("chat.jsonl", JSONL)
    local said = {}
    for _, one in read.utterances do
      table.insert(said, { one.line, one.speaker, one.text, one.at })
    end
    expect(said).to_equal({
      { 2, "user", "Does Redis run on Node Seven?", "2026-11-20T09:15:00Z" },
      { 3, "assistant", "Yes.", "2026-11-20T09:15:00Z" },
      { 5, "Ada", "Good." },
    })
  end)

  test.it("gives a line the same key in a copy, in a longer file, and another one elsewhere", function()
    local first = ingest.parse("a.txt", TEXT).utterances
    local copy = ingest.parse("archive/b.txt", TEXT).utterances
    local grown = ingest.parse("a.txt", TEXT .. "Ada: More.\n").utterances
    for place, one in first do
      expect(copy[place].key).to_be(one.key)
      expect(grown[place].key).to_be(one.key)
    end
    expect(#grown).to_be(#first + 1)
    expect(ingest.parse("c.txt", "Another day\n" .. TEXT).utterances[1].key ~= first[1].key).to_be(true)
  end)

  test.it("takes anything", function()
    for _, text in { "", "\n\n", "no speaker at all", "{", "{}", string.rep("x", 100000), "A: \255\254", "\r\n[]: \r\n" } do
      expect(type(ingest.parse("x", text).utterances)).to_be("table")
    end
    expect(#ingest.parse("x", "Ada: " .. string.rep("ä", 9000)).utterances[1].text).to_be(8192)
  end)
end)

test.describe("graph_ingest.extract", function()
  test.it("finds names, addresses, services and topics with where they were said", function()
    local said = ingest.parse("standup.txt", TEXT).utterances
    local found = ingest.extract(said)
    expect(names(found)).to_equal({
      "ACME Corp",
      "Alan",
      "Billing API",
      "Postgres Cluster",
      "billing",
      "ops@example.com",
      "status.example.com",
    })
    expect(#found.mentions).to_be(7)
  end)

  test.it("finds relations with their provenance", function()
    local said = ingest.parse("standup.txt", TEXT).utterances
    local relations = ingest.extract(said).relations
    expect(#relations).to_be(2)
    expect(relations[1].type).to_be("depends_on")
    expect(relations[1].source.line).to_be(3)
    expect(relations[1].source.speaker).to_be("Ada")
    expect(relations[2].type).to_be("works_for")
    expect(relations[2].source.at).to_be("2026-11-20T09:17:00Z")
  end)

  test.it("knows a thing again in other capitals, and takes no beginning of a sentence for a name", function()
    local said = ingest.parse("x.txt", "Ada: Deploying now. We like Redis Server. The redis Server waits for REDIS SERVER.").utterances
    expect(names(ingest.extract(said))).to_equal({ "Redis Server", "Server" })
  end)
end)

test.describe("graph_ingest.extract_with", function()
  local function ask(json)
    local asked
    local library = test.library("@std/graph_ingest", {
      fakes = {
        llm = {
          chat = function(source, prompt, options)
            asked = { source = source, prompt = prompt, options = options }
            return { json = json }
          end,
        },
      },
    })
    local said = ingest.parse("x.txt", "Ada: I met Bob.\nBob: True,\n  in Oslo.").utterances
    return library.extract_with("main", said), asked
  end

  test.it("takes what the model read, by its lines", function()
    local found, asked = ask({
      entities = { { name = "Bob", kind = "person", line = 1 }, { name = "Oslo", kind = "planet", line = 2 } },
      relations = { { from = "Ada", type = "Met  in", to = "Bob", line = 1 } },
    })
    expect(asked.source).to_be("main")
    expect(asked.prompt).to_be("1. Ada: I met Bob.\n2. Bob: True, in Oslo.")
    expect(asked.options.temperature).to_be(0)
    expect(names(found)).to_equal({ "Ada", "Bob", "Oslo" })
    expect(found.entities[2].kind).to_be("thing")
    expect(found.relations[1].type).to_be("met_in")
    expect(found.relations[1].source.speaker).to_be("Ada")
  end)

  test.it("leaves out what no line says", function()
    for _, answer in
      {
        {},
        { entities = "no", relations = { { from = "A", type = "x", to = 7, line = 1 } } },
        { entities = { { name = "Bob", kind = "person", line = 9 } }, relations = { { from = "A", type = "1", to = "B", line = 1 } } },
        { entities = { { name = "  ", kind = "person", line = 1 } }, relations = {} },
      }
    do
      local found = ask(answer)
      expect(#found.entities + #found.relations).to_be(0)
    end
  end)
end)
