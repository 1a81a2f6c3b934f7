-- scripts/container_report.lua on real containers whose names begin with `prefix`.
return aegis.job {
  permissions = { jobs = { "container_report" } },
  params = { prefix = { type = "string", required = true } },
  run = function(ctx)
    local function report(params)
      local run = aegis.jobs.wait(aegis.jobs.trigger("container_report", { params = params }))
      assert(run.state == "succeeded", `the report {run.state}: {run.error}`)
      local mine = {}
      for _, row in run.result.containers do
        if string.find(row.name, ctx.params.prefix, 1, true) then
          table.insert(mine, row)
        end
      end
      return mine, run.result
    end

    local rows, whole = report { sort = "name" }
    assert(#rows == 3, `{#rows} rows`)
    assert(rows[1].name < rows[2].name and rows[2].name < rows[3].name, "they are not in order of their names")
    local running = 0
    for _, row in rows do
      if row.state == "running" then
        running += 1
        assert(row.memory_bytes > 0 and row.memory_bytes < 1073741824, `{row.memory_bytes} bytes`)
      end
    end
    assert(running >= 1, "nothing runs")
    assert(whole.memory_bytes > 0)
    assert(#report { stopped = false } < 3, "a stopped container is listed")
  end,
}
