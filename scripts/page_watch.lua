-- Takes pictures of web pages with a screenshot service, and tells which look different from the last time: for visual
-- regressions of one's own pages, and for changes of others'.
--
-- The service takes POST /screenshot with {"url", "width", "height", "full_page"} and answers with a PNG. Pictures lie in
-- the folder that the configuration calls `pages` under fs.roots. Which pages are watched comes from the parameter, or
-- from this job's key-value store when that is empty:
--   aegis repl -e 'aegis.kv.set("pages", { "https://www.example.com/prices" })'

local health = require("@std/health")

-- "https://www.example.com/a?b" as "www.example.com-a-1a2b3c4d": a file's name, different for each page.
local function slug(url)
  local address = string.gsub(url, "^%a+://", "")
  local words = string.gsub(address, "[^%w%.]+", "-")
  return `{string.sub(words, 1, 60)}-{string.sub(aegis.hash.blake3(url), 1, 8)}`
end

local function take(service, url, size)
  local answer = aegis.http.post(`{service}/screenshot`, {
    json = { url = url, width = size.width, height = size.height, full_page = size.full_page },
    timeout = "60s",
    max_body = "16MiB",
  })
  if answer.status ~= 200 then
    error({ code = "page.screenshot", message = `the screenshot service answered with status {answer.status}` })
  end
  return answer.body
end

-- How far the page looks different from its last picture, which the new one replaces if `accept` says so.
local function look(ctx, url)
  local name, params = slug(url), ctx.params
  local picture = take(params.service, url, params)
  local place = `pages:{name}.png`
  if not aegis.fs.stat(place) then
    aegis.fs.write(place, picture)
    return { url = url, first = true, changed = false, percent = 0 }
  end
  local compared = aegis.image.compare(aegis.fs.read(place), picture, { tolerance = params.tolerance, diff = true })
  local changed = compared.percent >= params.threshold
  if changed then
    ctx:artifact(`{name}-now.png`, picture, { media_type = "image/png" })
    ctx:artifact(`{name}-difference.png`, compared.diff, { media_type = "image/png" })
    if params.accept then
      aegis.fs.write(place, picture)
    end
  end
  return { url = url, first = false, changed = changed, percent = compared.percent, area = compared.area }
end

return aegis.job {
  description = "Takes pictures of web pages and tells which look different",
  schedule = { every = "1h" },
  timeout = "15m",
  overlap = "skip",
  permissions = { http = { "127.0.0.1:3000" }, fs = { pages = "write" } },
  params = {
    pages = { type = "list", default = {}, description = "URLs of the pages" },
    service = { type = "string", default = "http://127.0.0.1:3000", description = "Where the screenshot service is" },
    width = { type = "integer", default = 1280, min = 100, max = 4000, description = "Of the window, in pixels" },
    height = { type = "integer", default = 800, min = 100, max = 4000, description = "Of the window, in pixels" },
    full_page = { type = "boolean", default = false, description = "Take the whole page instead of what the window shows" },
    threshold = { type = "number", default = 0.5, max = 100, description = "Percent of the pixels that are a change" },
    tolerance = { type = "integer", default = 16, min = 0, max = 255, description = "By how much a pixel may differ" },
    accept = { type = "boolean", default = true, description = "Compare with the new picture from now on" },
  },
  ui = { group = "Health", button = "Look at pages" },

  run = function(ctx)
    local pages = if #ctx.params.pages > 0 then ctx.params.pages else aegis.kv.get("pages") or {}
    local done, findings = 0, {}
    local results = ctx:map(pages, function(url)
      local ok, result = aegis.try(look, ctx, url)
      done += 1
      ctx:progress(done, #pages, url)
      if not ok then
        ctx:log("warn", `{url}: {result.message}`)
        return { url = url, problem = result.message }
      end
      if result.changed then
        local summary = string.format("%s looks different: %.1f %% of its pixels", url, result.percent)
        ctx:log("warn", summary)
        table.insert(findings, {
          name = "page_changed",
          labels = { page = url },
          severity = "warning",
          summary = summary,
          subject = `page/{url}`,
        })
      end
      return result
    end, { limit = 2 })
    local told = health.tell(findings, { ttl = "2h" })
    return { pages = aegis.json.list(results), changed = #findings, raised = #told.raised, cleared = #told.cleared }
  end,
}
