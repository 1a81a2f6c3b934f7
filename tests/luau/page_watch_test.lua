local test = require("@std/test")
local expect = test.expect

local PAGE = "https://www.example.com/prices?now=1"

-- One look; `files` are the pictures of before, and the service gives `picture`.
local function look(files, picture, options)
  options = options or {}
  local posted, reports
  reports = {}
  local result, world = test.run("page_watch.lua", {
    params = { pages = { PAGE }, accept = options.accept },
    kv = options.kv,
    fakes = {
      http = {
        post = function(url, given)
          posted = { url = url, json = given.json }
          return { status = options.status or 200, body = picture }
        end,
      },
      fs = {
        stat = function(path)
          return files[path] and { path = path }
        end,
        read = function(path)
          return files[path]
        end,
        write = function(path, content)
          files[path] = content
        end,
      },
      image = {
        compare = function(first, second)
          local same = first == second
          return { percent = if same then 0 else 12.5, area = { left = 1 }, diff = "difference" }
        end,
      },
      alerts = {
        report = function(finding)
          table.insert(reports, finding)
        end,
      },
    },
  })
  return result, world, posted, reports
end

test.describe("page_watch", function()
  test.it("keeps the first picture, and asks the service as it wants to be asked", function()
    local files = {}
    local result, _, posted = look(files, "one")
    expect(posted.url).to_be("http://127.0.0.1:3000/screenshot")
    expect(posted.json).to_equal({ url = PAGE, width = 1280, height = 800, full_page = false })
    expect(result.pages[1].first).to_be(true)
    local path, kept = next(files)
    expect(path).to_match("^pages:www%.example%.com%-prices%-now%-1%-%x+%.png$")
    expect(kept).to_be("one")
  end)

  test.it("tells a change with both pictures, and compares with the new one from then on", function()
    local files, kv = {}, {}
    look(files, "one", { kv = kv })
    local result, world, _, reports = look(files, "two", { kv = kv })
    expect({ result.changed, result.raised }).to_equal({ 1, 1 })
    expect(reports[1].summary).to_contain("12.5 %")
    local names = {}
    for name, artifact in world.artifacts do
      table.insert(names, name)
      expect(artifact.media_type).to_be("image/png")
    end
    expect(#names).to_be(2)
    local later, _, _, ended = look(files, "two", { kv = kv })
    expect({ later.changed, later.cleared, ended[1].ok }).to_equal({ 0, 1, true })
  end)

  test.it("keeps what it compares with when it shall not accept", function()
    local files = {}
    look(files, "one")
    look(files, "two", { accept = false })
    expect(select(2, next(files))).to_be("one")
  end)

  test.it("says which page could not be taken", function()
    local result, world = look({}, "", { status = 500 })
    expect(result.pages[1].problem).to_contain("status 500")
    expect(world.logs[1].level).to_be("warn")
  end)
end)
