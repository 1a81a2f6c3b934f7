-- Reads transcripts (JSONL and text) from the folder that the configuration calls `transcripts` under fs.roots, and puts
-- into a graph who said what, what was named, and how that belongs together. Files that are whole in the graph and have
-- not changed are passed over; one that is read again adds only what is new.
--
-- With `llm`, the name of a language model of the configuration, that model reads; without one, rules do. Grant what you
-- use below.

local ingest = require("@std/graph_ingest")

-- Utterances of one step: what is done again at most when the daemon is killed in the middle.
local BATCH, BATCH_OF_A_MODEL = 1000, 40

-- Files in order of their names: `{ path, bytes, modified_at }`; nil while nobody has named a folder.
local function find(pattern)
  local ok, entries = aegis.try(aegis.fs.list, "transcripts:", { recursive = true, limit = 10000 })
  if not ok then
    if entries.code == "fs.unknown_root" then
      return nil
    end
    error(entries, 0)
  end
  local files = {}
  for _, entry in entries do
    local kind = string.match(entry.name, "%.(%w+)$")
    local is_wanted = kind == "jsonl" or kind == "txt" or kind == "md"
    if entry.kind == "file" and is_wanted and string.find(entry.path, pattern, 1, true) then
      table.insert(files, { path = entry.path, bytes = entry.bytes, modified_at = entry.modified_at })
    end
  end
  return aegis.json.list(files)
end

-- One batch of a file, from an utterance on. Returns where the next one begins, and what came of this one.
local function take(ctx, transcript, file, first)
  local params = ctx.params
  local size = if params.llm == "" then BATCH else BATCH_OF_A_MODEL
  local last = math.min(first + size - 1, #transcript.utterances)
  local said = table.move(transcript.utterances, first, last, 1, {})
  local found = if params.llm == "" then ingest.extract(said) else ingest.extract_with(params.llm, said)
  local made = ingest.write(params.source, params.graph, transcript, said, found, file.modified_at)
  local is_last = last >= #transcript.utterances
  if is_last then
    ingest.finish(params.source, params.graph, transcript)
  end
  return {
    next = if is_last then nil else last + 1,
    utterances = #said,
    entities = #found.entities,
    relations = #found.relations,
    created = made.nodes_created + made.relationships_created,
  }
end

-- All of a file, a step for each batch. The file is read when a step needs it: a run that goes on after a crash reads
-- only what it has not done.
local function read(ctx, file, known, totals)
  local transcript
  local first = 1
  repeat
    local done = ctx:step(`{file.path} from {first}`, function()
      if not transcript then
        local content = aegis.fs.read(file.path)
        if first == 1 and known[ingest.hash(content)] and not ctx.params.again then
          return { utterances = 0, entities = 0, relations = 0, created = 0 }
        end
        transcript = ingest.parse(file.path, content)
      end
      return take(ctx, transcript, file, first)
    end, { retries = 3, backoff = "2s" })
    for name in totals do
      totals[name] += done[name]
    end
    first = done.next
  until first == nil or first == aegis.null
end

return aegis.job {
  description = "Puts transcripts into the knowledge graph: who said what, and how things belong together",
  schedule = { cron = "0 3 * * *" },
  timeout = "6h",
  cpu = "1h",
  memory = "512MiB",
  overlap = "skip",
  resume = true,
  permissions = { fs = { transcripts = "read" }, graph = { knowledge = "write" }, llm = { "main" } },
  params = {
    source = { type = "string", default = "knowledge", description = "The graph server, by its name in the configuration" },
    graph = { type = "string", default = "transcripts", description = "The graph on it" },
    llm = { type = "string", default = "", description = "The language model that reads; rules do without one" },
    only = { type = "string", default = "", description = "Only files whose path contains this" },
    again = { type = "boolean", default = false, description = "Read files too that are in the graph already" },
  },
  ui = { group = "Knowledge", button = "Read transcripts" },

  run = function(ctx)
    local params = ctx.params
    local began = aegis.time.unix()
    local files = ctx:step("find the files", function()
      return find(params.only)
    end)
    if not files or files == aegis.null then
      ctx:log("warn", "there is nothing to read: name a folder `transcripts` under fs.roots in the configuration")
      return { files = 0, utterances = 0 }
    end
    local known = ctx:step("look what is known", function()
      ingest.prepare(params.source, params.graph)
      return ingest.known(params.source, params.graph)
    end, { retries = 3, backoff = "2s" })

    local bytes, bytes_done, totals, failed = 0, 0, { utterances = 0, entities = 0, relations = 0, created = 0 }, {}
    for _, file in files do
      bytes += file.bytes
    end
    for place, file in files do
      local ok, problem = aegis.try(read, ctx, file, known, totals)
      if not ok then
        ctx:log("warn", `{file.path}: {problem.message}`, { code = problem.code })
        table.insert(failed, { path = file.path, problem = problem.message })
      end
      bytes_done += file.bytes
      ctx:progress(bytes_done, bytes, `{place} of {#files} files`)
    end
    if #files > 0 and #failed == #files then
      error({ code = "ingest.failed", message = `none of {#files} transcripts could be read: {failed[1].problem}` })
    end

    local seconds = math.max(aegis.time.unix() - began, 0.001)
    local rate = totals.utterances / seconds
    print(string.format("%d files, %d utterances in %.1f s: %.0f a second", #files, totals.utterances, seconds, rate))
    return {
      files = #files,
      failed = aegis.json.list(failed),
      bytes = bytes,
      utterances = totals.utterances,
      entities = totals.entities,
      relations = totals.relations,
      created = totals.created,
      seconds = seconds,
      utterances_per_second = rate,
      bytes_per_second = bytes / seconds,
    }
  end,
}
