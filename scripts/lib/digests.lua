-- Makes a digest section by section and brings it to people: as text over a notification route, and as an e-mail with
-- HTML through Resend where somebody is named. Each section and each way is a step of its own: what was made or brought
-- is not done again after a crash, and one that fails keeps the others from nothing.

local digest = require("@std/digest")

local function to_route(page, route)
  local names = {}
  for _, one in aegis.notify.routes() do
    names[one.name] = true
  end
  if not names[route] then
    aegis.log.warn(`there is no route "{route}": name one under notify.routes in the configuration`)
    return "no route"
  end
  aegis.notify.send(route, { title = page.title, text = page.text, severity = page.severity })
  return "sent"
end

local function to_mailboxes(page, params, key)
  local answer = aegis.http.post(`{params.mail_api}/emails`, {
    headers = { Authorization = aegis.secrets.get("RESEND_KEY"):bearer(), ["Idempotency-Key"] = key },
    json = { from = params.mail_from, to = params.mail_to, subject = page.title, html = page.html, text = page.text },
    timeout = "20s",
    retry = { attempts = 4 },
  })
  if not answer.ok then
    error({ code = "mail.refused", message = `the e-mail was refused with status {answer.status}: {answer.body}` })
  end
  return "sent"
end

-- A digest of a durable run whose parameters have `zone`, `route`, `mail_to`, `mail_from` and `mail_api`.
return function(ctx)
  local params, sections = ctx.params, {}
  local book = {}

  -- Adds a section that `fill(section, …)` makes.
  function book:section(title, fill, ...)
    local arguments = table.pack(...)
    local made = ctx:step(title, function()
      return digest.section(title, function(section)
        fill(section, table.unpack(arguments, 1, arguments.n))
      end)
    end)
    table.insert(sections, made)
    ctx:progress(#sections, nil, title)
  end

  -- Keeps the digest with the run and brings it to people. Raises when nobody was reached.
  function book:send(greeting)
    local date = aegis.time.format(aegis.time.now(), { pattern = "%A, %-d %B", zone = params.zone })
    local page = digest.make { title = `{greeting}: {date}`, sections = sections }
    ctx:artifact("digest.html", page.html, { media_type = "text/html" })
    ctx:artifact("digest.md", page.markdown, { media_type = "text/markdown" })

    local sent, problems, ways = {}, {}, 0
    local function way(name, bring, ...)
      local arguments = table.pack(...)
      ways += 1
      local ok, result = aegis.try(ctx.step, ctx, name, function()
        return bring(page, table.unpack(arguments, 1, arguments.n))
      end, { retries = 2, backoff = "5s" })
      sent[name] = if ok then result else result.message
      if not ok then
        ctx:log("error", `{name}: {result.message}`)
        table.insert(problems, result)
      end
    end
    way("route", to_route, params.route)
    if #params.mail_to > 0 then
      way("e-mail", to_mailboxes, params, `{ctx.job}/{ctx.run_id}`)
    end
    if #problems == ways then
      error(problems[1])
    end
    return { level = page.level, sections = #sections, failed = page.failed, sent = sent }
  end

  return book
end
