local test = require("@std/test")
local expect = test.expect

local function interface(name, fields)
  local made = { name = name, state = "up" }
  for _, key in { "received", "sent" } do
    made[key .. "_bytes_per_second"] = 0
    made[key .. "_packets_per_second"] = 0
  end
  made.errors_per_second, made.drops_per_second = 0, 0
  for key, value in fields or {} do
    made[key] = value
  end
  return made
end

local function disk(mount, source, percent, fields)
  local made = { mount = mount, source = source, used_percent = percent, total_bytes = 100, read_only = false }
  for key, value in fields or {} do
    made[key] = value
  end
  return made
end

-- One look at a machine. Returns the result, the world and what was recorded, by metric and label.
local function watch(options)
  local recorded = {}
  local result, world = test.run("host_watch.lua", {
    params = options.params,
    fakes = {
      host = {
        cpu = options.cpu or { percent = 12, iowait_percent = 1, load_1 = 0.5 },
        memory = { used_percent = 40, swap_used_percent = 0 },
        disks = options.disks or {},
        interfaces = options.interfaces or {},
        tcp_stats = { retransmitted_percent = 0.1 },
        ping = function()
          return { loss_percent = 33.3 }
        end,
        dns = { took_ms = 7 },
      },
      docker = { stats_all = options.stats or {} },
      metrics = {
        record = function(name, value, labels)
          local label = if labels then next(labels) else nil
          recorded[if label then `{name} {labels[label]}` else name] = value
        end,
      },
    },
  })
  return result, world, recorded
end

test.describe("host_watch", function()
  test.it("records what the shipped alert rules watch", function()
    local result, _, recorded = watch {
      disks = { disk("/", "sda1", 61), disk("/data", "sdb1", 91) },
      interfaces = { interface("eth0", { received_bytes_per_second = 100e6, received_packets_per_second = 99, drops_per_second = 1 }) },
    }
    expect(recorded.host_cpu_percent).to_be(12)
    expect(recorded.host_memory_percent).to_be(40)
    expect(recorded["host_disk_percent /"]).to_be(61)
    expect(recorded["host_disk_percent /data"]).to_be(91)
    expect(recorded["host_network_percent eth0"]).to_be(80)
    expect(recorded["host_packet_loss_percent eth0"]).to_be(1)
    expect(result.problems).to_equal({})
  end)

  test.it("leaves out what is no link, no disk, or too little to tell", function()
    local _, _, recorded = watch {
      disks = { disk("/", "sda1", 61), disk("/again", "sda1", 61), disk("/cd", "sr0", 100, { read_only = true }) },
      interfaces = { interface("lo"), interface("veth1"), interface("eth1", { state = "down" }), interface("eth0") },
    }
    expect(recorded["host_disk_percent /again"]).to_be(nil)
    expect(recorded["host_disk_percent /cd"]).to_be(nil)
    for _, name in { "lo", "veth1", "eth1" } do
      expect(recorded["host_network_percent " .. name]).to_be(nil)
    end
    expect(recorded["host_network_percent eth0"]).to_be(0)
    expect(recorded["host_packet_loss_percent eth0"]).to_be(nil)
  end)

  test.it("knows how wide the link is, and looks at other hosts and at containers", function()
    local _, _, recorded = watch {
      params = { link_mbit = 100, ping = { "gw.example" }, dns = { "www.example" } },
      interfaces = { interface("eth0", { sent_bytes_per_second = 10e6 }) },
      stats = { { name = "web", cpu_percent = 5, memory_bytes = 1e6 } },
    }
    expect(recorded["host_network_percent eth0"]).to_be(80)
    expect(recorded["host_packet_loss_percent gw.example"]).to_be(33.3)
    expect(recorded["host_dns_ms www.example"]).to_be(7)
    expect(recorded["container_memory_bytes web"]).to_be(1e6)
  end)

  test.it("measures the rest when something cannot be measured", function()
    local result, world, recorded = watch {
      stats = function()
        error({ code = "docker.unavailable", message = "no answer" })
      end,
    }
    expect(result.problems).to_equal({ containers = "no answer" })
    expect(world.logs[1].level).to_be("warn")
    expect(recorded.host_cpu_percent).to_be(12)
  end)
end)
