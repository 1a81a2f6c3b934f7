local test = require("@std/test")
local digest = require("@std/digest")
local expect = test.expect

-- The text of a section that a function of the library fills, and its level.
local function shown(name, fakes, ...)
  local report = test.library("lib/report.lua", { fakes = fakes })
  local arguments = { ... }
  local section = digest.section("Title", function(section)
    report[name](section, table.unpack(arguments))
  end)
  local text = digest.make({ title = "", sections = { section } }).text
  return string.sub(text, #"TITLE\n" + 1), section.level
end

test.describe("report", function()
  test.it("counts containers and names the ill", function()
    local text, level = shown("containers", {
      docker = {
        list = {
          { name = "a", state = "running", restart_count = 0 },
          { name = "b", state = "exited", exit_code = 1, restart_count = 0 },
        },
      },
    })
    expect(text).to_be("- running: 1 of 2\n!! b exited with code 1: it failed")
    expect(level).to_be("critical")
  end)

  test.it("tells alerts that fire and those that are over", function()
    local list = {
      { state = "firing", severity = "warning", summary = "the disk is 86 % full", since = "2026-11-22T01:10:00Z" },
      {
        state = "resolved",
        severity = "critical",
        summary = "web is down",
        since = "2026-11-22T02:00:00Z",
        resolved_at = "2026-11-22T02:05:00Z",
      },
      { state = "pending", severity = "critical", summary = "not yet", since = "2026-11-22T02:00:00Z" },
    }
    local text, level = shown("alerts", { alerts = { list = list } }, "2026-11-21T18:00:00Z", "Europe/Berlin")
    expect(text).to_be("! the disk is 86 % full (since 02:10)\n- web is down: from 03:00 to 03:05")
    expect(level).to_be("warning")
    expect(shown("alerts", { alerts = { list = {} } }, "2026-11-21T18:00:00Z", "UTC")).to_be("None.")
  end)

  test.it("tells which runs failed and why", function()
    local function run(job, state, message)
      return { job = job, state = state, queued_at = "2026-11-22T03:00:00Z", error = message and { message = message } }
    end
    local text, level = shown("runs", {
      jobs = {
        runs = { run("backup", "failed", "disk full"), run("hello", "succeeded"), run("sync", "timed_out"), run("x", "running") },
      },
    }, "2026-11-21T18:00:00Z", "UTC")
    expect(text).to_be(
      "- succeeded: 1\n! failed: 2\n  at     job     why\n  03:00  backup  disk full\n  03:00  sync    timed_out"
    )
    expect(level).to_be("warning")
  end)

  test.it("knows when the newest backup is too old", function()
    -- The clock of tests stands at 2027-01-01T00:00:00Z.
    local function backups(files)
      return shown("backups", { fs = { list = files } }, { "backups:daily" }, 26 * 3600)
    end
    local function file(name, at)
      return { name = name, kind = "file", bytes = 1.5e6, modified_at = at }
    end
    local text, level = backups({ file("old", "2026-12-01T00:00:00Z"), file("new", "2026-12-31T23:00:00Z") })
    expect({ text, level }).to_equal({ "- backups:daily: new, 1.5 MB, 1h old", "ok" })
    expect(select(2, backups({ file("x", "2026-12-30T12:00:00Z") }))).to_be("warning")
    expect(select(2, backups({ file("x", "2026-12-01T00:00:00Z") }))).to_be("critical")
    expect(select(2, backups({}))).to_be("critical")
  end)

  test.it("lists what is due by the calendar, and counts what goes on at intervals", function()
    local text = shown("schedule", {
      jobs = {
        list = {
          { name = "late", enabled = true, schedules = { { text = "every day at 23:00 UTC", next_at = "2027-01-01T23:00:00Z" } } },
          { name = "early", enabled = true, schedules = { { text = "every day at 03:00 UTC", next_at = "2027-01-01T03:00:00Z" } } },
          { name = "sweep", enabled = true, schedules = { { text = "every 5m", every = 300, next_at = "2027-01-01T00:05:00Z" } } },
          { name = "far", enabled = true, schedules = { { text = "every Sunday", next_at = "2027-01-03T03:00:00Z" } } },
          { name = "off", enabled = false, schedules = { { text = "x", next_at = "2027-01-01T04:00:00Z" } } },
          { name = "hello", enabled = true, schedules = {} },
        },
      },
    }, "2027-01-02T00:00:00Z", "UTC")
    expect(text).to_be(
      "  at     job    schedule\n  03:00  early  every day at 03:00 UTC\n  23:00  late   every day at 23:00 UTC\n- at intervals: 1 jobs"
    )
  end)

  test.it("shows money and the machine", function()
    local text = shown("revenue", {}, { { type = "charge", currency = "eur", amount = 1999, fee = 80, net = 1919 } })
    expect(text).to_contain("19.99 EUR")
    expect(text).to_contain("19.19 EUR")
    expect(shown("revenue", {}, {})).to_be("No payments.")
    local disk = { mount = "/", source = "a", used_percent = 90, available_bytes = 2e9, total_bytes = 2e10, read_only = false }
    local machine, level = shown("machine", { host = { memory = { used_percent = 41 }, disks = { disk } } })
    expect(machine).to_be("- memory: 41 %\n! /: 90 % full, 2.0 GB free")
    expect(level).to_be("warning")
  end)
end)
