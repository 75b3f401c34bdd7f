-- Traffic for a director, for Pktgen-DPDK 23.03: clients' packets to a virtual service from port 0. What is sent is chosen
-- by environment variables; README.md beside this file lists them and says how to start Pktgen with this file.

package.path = package.path .. ";?.lua;test/?.lua;app/?.lua"
require "Pktgen"

local PORT = "0"

-- number("FLOWS", 1024): a variable of the environment, or what stands for it.
local function number(name, default)
    local text = os.getenv(name) or tostring(default)
    return assert(tonumber(text), name .. " is a number, not " .. text)
end

local function text(name, default)
    return os.getenv(name) or default
end

local profile = text("PROFILE", "64")
local director_mac = assert(os.getenv("DIRECTOR_MAC"), "DIRECTOR_MAC: the MAC address of the director's port")
local vip = text("VIP", "10.0.0.100")
local vip_port = number("VIP_PORT", 53)
local first_client = text("FIRST_CLIENT", "10.1.0.1")
local flows = number("FLOWS", 1024)
local seconds = number("DURATION", 30)
local rate = number("RATE", 100) -- per cent of the line

local CLIENT_PORT = 32768

local function address_plus(address, count)
    local a, b, c, d = address:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
    assert(a, address .. " is no IPv4 address")
    local value = ((a * 256 + b) * 256 + c) * 256 + d + count
    return string.format("%d.%d.%d.%d", value >> 24 & 255, value >> 16 & 255, value >> 8 & 255, value & 255)
end

-- Pktgen knows some settings by its command line alone.
local function command(...)
    local name = os.tmpname()
    local file = assert(io.open(name, "w"))
    file:write(table.concat({ ... }, "\n"), "\n")
    file:close()
    -- It wants a third argument and does not look at it.
    pktgen.run("cmd", name, "")
    os.remove(name)
end

-- One value of a range that stays, or counts up from `first` to `last`.
local function range(set, first, last, step)
    set(PORT, "start", first)
    set(PORT, "min", first)
    set(PORT, "max", last or first)
    set(PORT, "inc", step or 0)
end

-- Packets from as many clients as there are flows; their lengths grow from `size` to `size_max` by `step` and start over.
local function send_range(protocol, size, size_max, step)
    pktgen.range.dst_mac(PORT, "start", director_mac)
    pktgen.range.ip_proto(PORT, protocol)
    pktgen.range.src_ip(PORT, "start", first_client)
    pktgen.range.src_ip(PORT, "min", first_client)
    pktgen.range.src_ip(PORT, "max", address_plus(first_client, flows - 1))
    pktgen.range.src_ip(PORT, "inc", "0.0.0.1")
    pktgen.range.dst_ip(PORT, "start", vip)
    pktgen.range.dst_ip(PORT, "min", vip)
    pktgen.range.dst_ip(PORT, "max", vip)
    pktgen.range.dst_ip(PORT, "inc", "0.0.0.0")
    range(pktgen.range.src_port, CLIENT_PORT)
    range(pktgen.range.dst_port, vip_port)
    range(pktgen.range.pkt_size, size, size_max, step)
    range(pktgen.range.ttl, 64)
    pktgen.set_range(PORT, "on")
end

-- The simple IMIX: of twelve packets seven short, four of middle length, one long. Lengths with the frame check sequence.
-- Pktgen's sequences hold one flow a packet.
local IMIX = { 64, 570, 64, 64, 570, 64, 1518, 64, 570, 64, 570, 64 }

local function send_imix()
    flows = #IMIX
    for index, size in ipairs(IMIX) do
        command(string.format("seq %d %s %s 02:00:00:00:00:01 %s %s/24 %d %d ipv4 udp 1 %d", index - 1,
            PORT, director_mac, vip, address_plus(first_client, index - 1), CLIENT_PORT, vip_port, size))
    end
    pktgen.set(PORT, "seq_cnt", #IMIX)
end

-- Every packet opens a connection that is never finished.
local function send_syn_flood()
    command("range " .. PORT .. " tcp flag clr all", "range " .. PORT .. " tcp flag set syn")
    send_range("tcp", 64)
end

local PROFILES = {
    ["64"] = function() send_range("udp", 64) end,
    ["128"] = function() send_range("udp", 128) end,
    ["512"] = function() send_range("udp", 512) end,
    ["1518"] = function() send_range("udp", 1518) end,
    -- Four lengths in turn, of any number of flows.
    mix = function() send_range("udp", 64, 1518, 484) end,
    imix = send_imix,
    syn = send_syn_flood,
}

local function report()
    for port = 0, pktgen.portCount() - 1 do
        local counts = pktgen.portStats(tostring(port), "port")[port]
        printf("port %d: sent %d packets, received %d, missed %d\n", port, counts.opackets,
            counts.ipackets, counts.imissed)
    end
end

pktgen.screen("off")
assert(PROFILES[profile], "PROFILE is 64, 128, 512, 1518, mix, imix or syn, not " .. profile)()
pktgen.set(PORT, "count", 0)
pktgen.set(PORT, "rate", rate)
printf("%s: %d flows to %s port %d at %s %% of the line for %d s\n", profile, flows, vip, vip_port,
    tostring(rate), seconds)
pktgen.start(PORT)
pktgen.delay(math.floor(seconds * 1000))
pktgen.stop(PORT)
-- What is on its way comes in.
pktgen.delay(1000)
report()
pktgen.quit()
