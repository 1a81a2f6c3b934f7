-- Removes images that no container uses. It only says what it would do, until it is told otherwise:
--   aegis trigger image_cleanup --param dry_run=false --wait

return aegis.job {
  description = "Removes unused images; a rehearsal unless told otherwise",
  timeout = "10m",
  overlap = "skip",
  permissions = { docker = "admin" },
  params = {
    dry_run = { type = "boolean", default = true, description = "Say what would be removed and remove nothing" },
    all = { type = "boolean", default = false, description = "Tagged images too, not only those without a name" },
    older_than = { type = "duration", default = "7d", description = "Spare images that are younger than this" },
    keep = { type = "list", default = {}, description = "Names or patterns of images that stay, such as registry/*" },
  },
  ui = { group = "Maintenance", button = "Clean up images" },

  run = function(ctx)
    local outcome = aegis.docker.prune("images", {
      all = ctx.params.all,
      older_than = ctx.params.older_than,
      keep = ctx.params.keep,
      dry_run = ctx.params.dry_run,
    })
    local verb = if outcome.dry_run then "would remove" else "removed"
    for _, image in outcome.removed do
      print(string.format("%s %s (%.1f MiB)", verb, image.name, image.size_bytes / 1048576))
    end
    for _, image in outcome.failed do
      ctx:log("warn", `{image.name} stays: {image.problem}`)
    end
    print(string.format("%s %d images, at most %.1f MiB", verb, #outcome.removed, outcome.space_bytes / 1048576))
    return outcome
  end,
}
