-- Measures the machine every half minute. The shipped alert rules watch what is recorded here: cpu_high, memory_full,
-- disk_high, disk_full, bandwidth_high and packet_loss.
--
-- Name the hosts of `ping` and the names of `dns` under `http` below.

-- A container's series ends with it, and a metric has at most 1 000 of them.
local CONTAINERS_MAX = 300
-- Fewer packets than this tell nothing about how many are lost.
local PACKETS_PER_SECOND_MIN = 10

-- A link of the machine to others, not to itself or to its containers.
local function is_link(interface)
  local name = interface.name
  local is_own = name == "lo" or string.find(name, "^veth") or string.find(name, "^br%-") or string.find(name, "^docker")
  return not is_own and interface.state ~= "down"
end

local function watch_processors_and_memory(record)
  local cpu, memory = aegis.host.cpu(), aegis.host.memory()
  record("host_cpu_percent", cpu.percent)
  record("host_iowait_percent", cpu.iowait_percent)
  record("host_load_1", cpu.load_1)
  record("host_memory_percent", memory.used_percent)
  record("host_swap_percent", memory.swap_used_percent)
end

local function watch_disks(record)
  local seen = {}
  for _, disk in aegis.host.disks() do
    -- A device that is mounted in several places is full once.
    if not disk.problem and not disk.read_only and disk.total_bytes > 0 and not seen[disk.source] then
      seen[disk.source] = true
      record("host_disk_percent", disk.used_percent, { mount = disk.mount })
    end
  end
end

local function watch_network(record, link_mbit)
  for _, interface in aegis.host.interfaces() do
    if is_link(interface) then
      local labels = { interface = interface.name }
      local received, sent = interface.received_bytes_per_second, interface.sent_bytes_per_second
      local packets = interface.received_packets_per_second + interface.sent_packets_per_second
      local lost = interface.errors_per_second + interface.drops_per_second
      record("host_received_bytes_per_second", received, labels)
      record("host_sent_bytes_per_second", sent, labels)
      -- Links are as wide in each direction.
      record("host_network_percent", 100 * math.max(received, sent) * 8 / (link_mbit * 1e6), labels)
      if packets + lost >= PACKETS_PER_SECOND_MIN then
        record("host_packet_loss_percent", 100 * lost / (packets + lost), labels)
      end
    end
  end
  record("host_tcp_retransmitted_percent", aegis.host.tcp_stats().retransmitted_percent)
end

local function watch_others(ctx, record)
  ctx:map(ctx.params.ping, function(host)
    local round = aegis.host.ping(host)
    record("host_packet_loss_percent", round.loss_percent, { target = host })
    if round.average_ms then
      record("host_ping_ms", round.average_ms, { target = host })
    end
  end)
  ctx:map(ctx.params.dns, function(name)
    record("host_dns_ms", aegis.host.dns(name).took_ms, { name = name })
  end)
end

local function watch_containers(record)
  local stats = aegis.docker.stats_all()
  for place = 1, math.min(#stats, CONTAINERS_MAX) do
    local labels = { container = stats[place].name }
    record("container_cpu_percent", stats[place].cpu_percent, labels)
    record("container_memory_bytes", stats[place].memory_bytes, labels)
  end
end

return aegis.job {
  description = "Measures processors, memory, disks, network and containers for the alert rules",
  schedule = { every = "30s" },
  timeout = "25s",
  overlap = "skip",
  permissions = { host = "read", docker = "read", http = { "*.example.com" } },
  params = {
    link_mbit = { type = "number", default = 1000, min = 1, description = "How wide the machine's link is, in Mbit/s" },
    ping = { type = "list", default = {}, description = "Hosts whose lost packets are counted" },
    dns = { type = "list", default = {}, description = "Names that are looked up, to see how long that takes" },
    containers = { type = "boolean", default = true, description = "Measure containers too" },
  },
  ui = { group = "Health", button = "Measure now" },

  run = function(ctx)
    local recorded, problems = 0, {}
    local function record(name, value, labels)
      if type(value) == "number" then
        aegis.metrics.record(name, value, labels)
        recorded += 1
      end
    end
    -- What cannot be measured costs nothing but itself.
    local function part(name, watch, ...)
      local ok, problem = aegis.try(watch, ...)
      if not ok then
        problems[name] = problem.message
        ctx:log("warn", `{name} could not be measured: {problem.message}`)
      end
    end
    part("processors and memory", watch_processors_and_memory, record)
    part("disks", watch_disks, record)
    part("network", watch_network, record, ctx.params.link_mbit)
    part("other hosts", watch_others, ctx, record)
    if ctx.params.containers then
      part("containers", watch_containers, record)
    end
    return { recorded = recorded, problems = problems }
  end,
}
