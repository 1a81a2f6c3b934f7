local test = require("@std/test")
local digest = require("@std/digest")
local expect = test.expect

local function page(fill)
  return digest.make { title = "Today", sections = { digest.section("Disks", fill) } }
end

test.describe("digest", function()
  test.it("shows the same in all three forms", function()
    local made = page(function(section)
      section:say("All in all well.")
      section:fact("/data", "91 %", "warning")
      section:item("a disk is slow")
      section:rows({ "at", "job" }, { { "06:00", "backup" }, { "07:30", "x" } })
    end)
    expect(made.text).to_be(
      "DISKS\nAll in all well.\n! /data: 91 %\n- a disk is slow\n  at     job\n  06:00  backup\n  07:30  x"
    )
    expect(made.markdown).to_be(
      "# Today\n\n## Disks\n\nAll in all well.\n\n- /data: **91 %**\n- a disk is slow\n\n"
        .. "```\nat     job\n06:00  backup\n07:30  x\n```\n"
    )
    for _, part in { "<h1", "Today", "All in all well.", "91 %", ">06:00</td>", ">backup</td>", "#9a5b00" } do
      expect(made.html).to_contain(part)
    end
  end)

  test.it("has the worst level of its sections", function()
    local function level(...)
      local levels = { ... }
      return page(function(section)
        for _, one in levels do
          section:item("x", one)
        end
      end)
    end
    expect(level().severity).to_be("info")
    expect(level("ok", "warning").severity).to_be("warning")
    expect(level("critical", "warning").severity).to_be("critical")
    expect(level("critical", "warning").level).to_be("critical")
  end)

  test.it("keeps the other sections when one cannot be made", function()
    local broken = digest.section("Revenue", function(section)
      section:fact("so far", 1)
      error({ code = "http.timeout", message = "no answer", hint = "try later" })
    end)
    local well = digest.section("Disks", function(section)
      section:item("all well")
    end)
    local made = digest.make { title = "Today", sections = { broken, well } }
    expect(made.failed).to_equal({ "Revenue" })
    expect(made.severity).to_be("warning")
    for _, form in { made.text, made.markdown, made.html } do
      expect(form).to_contain("no answer")
      expect(form).to_contain("so far")
      expect(form).to_contain("all well")
    end
  end)

  test.it("lets nothing out of its place", function()
    local evil = "<script>alert(1)</script> **bold** [x](y) ```"
    local made = page(function(section)
      section:item(evil)
      section:rows({ evil }, { { evil } })
    end)
    expect(string.find(made.html, "<script>", 1, true)).to_be(nil)
    expect(made.html).to_contain("&lt;script&gt;")
    expect(made.markdown).to_contain("\\<script\\>")
    expect(made.markdown).to_contain("\\*\\*bold\\*\\*")
    expect(made.markdown).to_contain("````\n")
  end)

  test.it("says how much it left out", function()
    local made = page(function(section)
      for place = 1, 50 do
        section:item(place)
      end
    end)
    expect(made.text).to_contain("… and 10 more")
    local rows = {}
    for place = 1, 100 do
      rows[place] = { place, aegis.null }
    end
    made = page(function(section)
      section:rows({ "a", "b" }, rows)
    end)
    expect(made.html).to_contain("… and 60 more")
  end)

  test.it("is plain data, and knows its levels", function()
    local section = digest.section("Empty", function() end)
    expect(aegis.json.encode(section)).to_contain('"blocks":[]')
    expect(aegis.json.decode(aegis.json.encode(section)).title).to_be("Empty")
    local wrong = digest.section("Wrong", function(section)
      section:item("x", "bad")
    end)
    expect(wrong.problem).to_contain('no level "bad"')
  end)
end)
