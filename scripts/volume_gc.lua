-- Deletes volumes that nobody needs any more. It only says what it would do, until it is told otherwise:
--   aegis trigger volume_gc --param dry_run=false --wait

return aegis.job {
  description = "Deletes old volumes and says which are nearly full; a rehearsal unless told otherwise",
  timeout = "10m",
  overlap = "skip",
  permissions = { volumes = { ["agents/*"] = "admin" } },
  params = {
    dry_run = { type = "boolean", default = true, description = "Say what would be deleted and delete nothing" },
    older_than = { type = "duration", default = "14d", description = "Spare volumes that are younger than this" },
    keep = { type = "list", default = {}, description = "Names or patterns of volumes that stay, such as agents/base-*" },
    full_percent = { type = "integer", default = 90, min = 1, max = 100, description = "Nearly full from here on" },
  },
  ui = { group = "Maintenance", button = "Clean up volumes" },

  run = function(ctx)
    local now, deleted, full = aegis.time.now(), {}, {}
    local limit = aegis.duration.seconds(ctx.params.older_than)
    local function stays(name: string): boolean
      for _, pattern in ctx.params.keep do
        local expression = "^" .. string.gsub(aegis.regex.escape(pattern), "\\%*", ".*") .. "$"
        if aegis.regex.test(expression, name) then
          return true
        end
      end
      return false
    end
    for _, volume in aegis.volumes.list() do
      if aegis.time.diff(now, volume.created_at) > limit and not stays(volume.name) then
        local outcome = aegis.volumes.delete(volume.name, { dry_run = ctx.params.dry_run })
        table.insert(deleted, volume.name)
        local back = if outcome.deleted then `; it comes back with aegis volume recover {outcome.deleted.id}` else ""
        print(`{if ctx.params.dry_run then "would delete" else "deleted"} {volume.name}{back}`)
      elseif volume.used_bytes * 100 >= volume.quota_bytes * ctx.params.full_percent then
        table.insert(full, volume.name)
        ctx:log("warn", `{volume.name} is nearly full: {volume.used_bytes} of {volume.quota_bytes} bytes`)
      end
    end
    return { deleted = deleted, full = full, dry_run = ctx.params.dry_run }
  end,
}
