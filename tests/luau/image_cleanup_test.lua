-- scripts/image_cleanup.lua rehearses: it names an unused image and leaves it there.
return aegis.job {
  permissions = { jobs = { "image_cleanup" }, docker = "read" },
  params = { unused_image = { type = "string", required = true } },
  run = function(ctx)
    local function is_there()
      for _, image in aegis.docker.images { dangling = true } do
        if image.id == ctx.params.unused_image then
          return true
        end
      end
      return false
    end

    assert(is_there(), "the unused image was not made")
    local run = aegis.jobs.wait(aegis.jobs.trigger("image_cleanup", { params = { older_than = 0 } }))
    assert(run.state == "succeeded", `the cleanup {run.state}: {run.error}`)
    assert(run.result.dry_run == true, "it was not a rehearsal")
    assert(string.find(aegis.json.encode(run.result), ctx.params.unused_image, 1, true), aegis.json.encode(run.result))
    assert(is_there(), "the rehearsal removed the image")
  end,
}
