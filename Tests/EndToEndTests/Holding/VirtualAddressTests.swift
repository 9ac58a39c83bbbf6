import Glibc
import QQCore
import Support
import Testing

@testable import QQVIP

/// Tests with real interfaces in network namespaces of their own. Creating those takes root; for other users, and in a container without
/// CAP_SYS_ADMIN, they are skipped. QQVIPTests and `VirtualAddressUsageTests` contain the tests that do without.
@Suite("A virtual address", .serialized, .enabled(if: NetworkPair.isPossible, "network namespaces need root"))
struct VirtualAddressTests {
    private static let four = "10.9.9.5/24@v0"
    private static let six = "2001:db8::5/64@v0"

    private func inNetworks(_ load: Gate.Load = .light, _ body: (Sandbox, NetworkPair) async throws -> Void) async throws {
        try await inSandbox(load) { box in
            let networks = try await NetworkPair(in: box)
            var failure: (any Error)?
            do { try await body(box, networks) } catch { failure = error }
            try await networks.close()
            if let failure { throw failure }
        }
    }

    private func keepalive(
        _ box: Sandbox, _ networks: NetworkPair, at end: Int = 0, _ options: String..., address: String = four, ttl: String = "4s",
        json: Bool = true, under wrapper: [String] = []
    ) throws -> Started {
        let words = wrapper + [Sandbox.binary, "keepalive", "x", "--vip", address, "--ttl", ttl] + (json ? ["--json"] : []) + options
        // Saved grants are separate for each machine.
        let runtime = box.path("run\(end)")
        mkdir(runtime, 0o700)
        return try box.start(networks.at(end, words), environment: ["XDG_RUNTIME_DIR": runtime])
    }

    private func events(_ run: Started) throws -> [String] {
        try run.output.split(separator: "\n").compactMap { try object($0)["event"]?.stringValue }.filter { $0 != "renewed" }
    }

    private func waitForEvent(_ event: String, of run: Started, count: Int = 1) async throws {
        try await waitUntil("\(count) x \(event) in \(run.output) \(run.errors)") { try events(run).count { $0 == event } >= count }
    }

    /// The earliest end of the lease, on the clock of `bootNow`: it might have been renewed since it was read.
    private func leaseEnd(_ box: Sandbox) throws -> UInt64 {
        try #require(try object(box.read("leases/x.json"))["bootDeadline"]?.uint64Value)
    }

    @Test("a virtual address is set while qq leads, and not before or after", arguments: [four, six])
    func carried(_ address: String) async throws {
        try await inNetworks { box, networks in
            let presence = try Presence(address, networks)
            let holder = try keepalive(box, networks, at: 1, address: address)
            try await waitForEvent("address_taken", of: holder)
            #expect(try presence.isThere(1))
            let waiter = try keepalive(box, networks, at: 0, address: address)
            try await waitForEvent("waiting", of: waiter)
            // For longer than the lifetime that the kernel got at first.
            for _ in 0..<30 {
                try await Task.sleep(for: .milliseconds(100))
                #expect(try presence.isThere(1))
                #expect(try !presence.isThere(0))
            }
            holder.child.signal(SIGTERM)
            #expect(try await holder.finish().ending == .exited(0))
            #expect(try events(holder) == ["elected", "address_taken", "address_removed", "released"])
            #expect(try !presence.isThere(1))
            try await waitForEvent("address_taken", of: waiter)
            #expect(try presence.isThere(0))
            try await waiter.terminate()
            #expect(try !presence.isThere(0))
            #expect(holder.errors == "" && waiter.errors == "")
        }
    }

    @Test("events of a virtual address have election, token and reason, in JSON and in text")
    func told() async throws {
        try await inNetworks { box, networks in
            for json in [true, false] {
                let run = try keepalive(box, networks, "--id", "me", json: json)
                try await waitUntil("the address is set: \(run.errors)") { run.output.contains("address_taken") }
                try await run.terminate()
                if json {
                    let told = try run.output.split(separator: "\n").map { try object($0) }.filter { $0["address"] != nil }
                    #expect(told.map { $0["event"]?.stringValue } == ["address_taken", "address_removed"])
                    #expect(told.allSatisfy { $0["address"]?.stringValue == Self.four && $0["name"]?.stringValue == "x" })
                    #expect(told.allSatisfy { $0["token"]?.uint64Value == 1 && $0["id"]?.stringValue == "me" })
                    #expect(told.map { $0["reason"]?.stringValue } == [nil, "stopping"])
                    let times = try run.output.split(separator: "\n").map {
                        try WallTime.parse(rfc3339: try #require(try object($0)["time"]?.stringValue))
                    }
                    #expect(times == times.sorted { $0 - $1 < .zero })
                } else {
                    let rows = run.output.split(separator: "\n").map { $0.split(separator: "\t").dropFirst().map(String.init) }
                    #expect(
                        rows == [
                            ["x", "elected", "2", "-"], ["x", "address_taken", "2", Self.four],
                            ["x", "address_removed", "2", Self.four + ": stopping"], ["x", "released", "2", "-"],
                        ])
                }
            }
        }
    }

    @Test("a virtual address is announced to the neighbours three times, and they update their tables")
    func announced() async throws {
        try await inNetworks { box, networks in
            let capture = try Capture(networks, at: 1)
            // Before, the neighbour has another machine's hardware address for both.
            for address in ["10.9.9.5", "2001:db8::5"] {
                try await networks.ip(1, "neigh replace \(address) lladdr 02:00:00:00:00:99 dev v0 nud stale", in: box)
            }
            let run = try keepalive(box, networks, "--vip", Self.six)
            try await waitForEvent("address_taken", of: run, count: 2)
            let route = RouteSocket(try networks.socket(0, AF_NETLINK, CInt(SOCK_RAW.rawValue), 0))
            let index = try #require(try route.addresses(isIPv6: false).first { $0.bytes == [10, 9, 9, 1] }).index
            let hardware = try #require(try route.link(index: index)).address
            var arps: [[UInt8]] = []
            var advertisements: [[UInt8]] = []
            let six = try VirtualAddress.parse(Self.six).bytes
            try await waitUntil("3 rounds of both: \(arps) \(advertisements)") {
                for frame in capture.frames() where frame.count >= 42 && Array(frame[6..<12]) == hardware {
                    if frame[12] == 0x08, frame[13] == 0x06, Array(frame[28..<32]) == [10, 9, 9, 5] { arps.append(frame) }
                    if frame[12] == 0x86, frame.count == 86, frame[54] == 136, Array(frame[62..<78]) == six { advertisements.append(frame) }
                }
                return arps.count >= 6 && advertisements.count >= 3
            }
            #expect(arps.count == 6)
            #expect(arps.map { $0[21] } == [1, 2, 1, 2, 1, 2])
            #expect(arps.allSatisfy { Array($0[0..<6]) == [255, 255, 255, 255, 255, 255] && Array($0[38..<42]) == [10, 9, 9, 5] })
            #expect(advertisements.count == 3)
            #expect(advertisements.allSatisfy { $0[21] == 255 && $0[58] & 0x20 != 0 && Array($0[80..<86]) == hardware })
            let text = hardware.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
            var launch = box.launch(networks.at(1, ["ip", "neigh"]))
            launch.output = .file(box.path("neighbours"))
            try await Child(launch).wait()
            let known = box.read("neighbours").split(separator: "\n").filter { $0.contains("10.9.9.5 ") || $0.contains("2001:db8::5 ") }
            #expect(known.count == 2)
            #expect(known.allSatisfy { $0.contains(text) }, "\(known)")
            try await run.terminate()
        }
    }

    @Test("a virtual address left by an earlier holder is removed before qq campaigns", arguments: [four, six])
    func stale(_ address: String) async throws {
        try await inNetworks { box, networks in
            let presence = try Presence(address, networks)
            let other = try box.qq("keepalive", "x")
            try await waitUntil("the lease is held") { other.output.contains("elected") }
            try await networks.ip(0, "addr add \(address.split(separator: "@")[0]) dev v0", in: box)
            #expect(try presence.isThere(0))
            let run = try keepalive(box, networks, address: address)
            try await waitForEvent("waiting", of: run)
            #expect(try !presence.isThere(0))
            #expect(run.errors == "qq: \(address) was already there, left behind by an earlier holder: removed\n")
            try await run.terminate()
            try await other.terminate()
        }
    }

    @Test(
        "a virtual address is removed before the lease ends if qq is killed or stopped, and only then set elsewhere",
        arguments: [SIGKILL, SIGSTOP], [four, six])
    func heldUp(_ signal: CInt, _ address: String) async throws {
        try await inNetworks(.heavy) { box, networks in
            let presence = try Presence(address, networks)
            let holder = try keepalive(box, networks, at: 0, address: address)
            try await waitForEvent("address_taken", of: holder)
            let next = try keepalive(box, networks, at: 1, address: address)
            try await waitForEvent("waiting", of: next)
            if signal == SIGSTOP { try await box.stop(holder, holding: "x") } else { holder.child.signal(SIGKILL) }
            let end = try leaseEnd(box)
            try await waitUntil("the next holder has the address") {
                try presence.look()
                return presence.arrivals(1) == 1
            }
            #expect(presence.doubled == 0)
            #expect(presence.lastSeen(0) > 0)
            #expect(
                presence.lastSeen(0) < end,
                "the address was still set \(Double(presence.lastSeen(0)) / 1e9 - Double(end) / 1e9) s after the end")
            if signal == SIGSTOP {
                kill(holder.pid, SIGCONT)
                try await waitForEvent("lost", of: holder)
                #expect(try events(holder).prefix(4) == ["elected", "address_taken", "address_removed", "lost"])
                for _ in 0..<100 { try presence.look() }
                #expect(presence.doubled == 0)
                try await holder.terminate()
            }
            try await next.terminate()
        }
    }

    @Test("a virtual address is never at two ends at the same time, however it moves")
    func neverDoubled() async throws {
        try await inNetworks(.heavy) { box, networks in
            let presence = try Presence(Self.four, networks)
            let watching = Task.detached { try await presence.watch() }
            var runs = [try keepalive(box, networks, at: 0, "--id", "node0"), try keepalive(box, networks, at: 1, "--id", "node1")]
            try await waitUntil("one end has the address") { presence.arrivals(0) + presence.arrivals(1) == 1 }
            var holder = presence.arrivals(0) == 1 ? 0 : 1
            for (round, way) in ["terminate", "kill", "step down", "stop", "kill and step down", "take away"].enumerated() {
                let other = 1 - holder
                let before = presence.arrivals(other)
                try await waitUntil("the other end waits: \(runs[other].output)") { try events(runs[other]).last == "waiting" }
                switch way {
                case "terminate": try await runs[holder].terminate()
                case "kill":
                    runs[holder].child.signal(SIGKILL)
                    _ = try await runs[holder].finish()
                case "step down": #expect(try await box.run("step-down", "x", "--force", "--yes").ending == .exited(0))
                case "kill and step down":
                    runs[holder].child.signal(SIGKILL)
                    #expect(try await box.run("step-down", "x", "--force", "--yes").ending == .exited(0))
                    _ = try await runs[holder].finish()
                case "stop": try await box.stop(runs[holder], holding: "x")
                default: try ForeignWriterTests.write(ForeignWriterTests.goRecord("go-node"), to: box.leaseFile("x"))
                }
                if way == "take away" {
                    try await waitUntil("the address is removed") { try !presence.isThere(holder) }
                } else {
                    try await waitUntil("the other one has it, round \(round), \(way): \(runs[other].output)") {
                        presence.arrivals(other) > before
                    }
                }
                if way == "stop" { kill(runs[holder].pid, SIGCONT) }
                if !runs[holder].child.isRunning { runs[holder] = try keepalive(box, networks, at: holder, "--id", "node\(holder)") }
                if way != "take away" { holder = other }
            }
            for run in runs { try await run.terminate() }
            watching.cancel()
            try await watching.value
            #expect(presence.doubled == 0)
            #expect(presence.looks > 1000)
            #expect(try !presence.isThere(0) && !presence.isThere(1))
        }
    }

    @Test("a virtual address is removed before the --on-lost hooks run")
    func beforeHooks() async throws {
        try await inNetworks { box, networks in
            let run = try keepalive(
                box, networks, "--on-elected", "ip -o addr show dev v0 >up", "--on-lost", "ip -o addr show dev v0 >down")
            try await waitUntil("the hook ran") { box.read("up").contains("10.9.9.1/24") }
            try await run.terminate()
            #expect(box.read("up").contains("10.9.9.5/24"))
            #expect(box.read("down").contains("10.9.9.1/24"))
            #expect(!box.read("down").contains("10.9.9.5/24"))
        }
    }

    @Test("a virtual address is kept, and removed in time, while a hook takes long")
    func longHooks() async throws {
        try await inNetworks { box, networks in
            let presence = try Presence(Self.four, networks)
            let run = try keepalive(box, networks, "--on-elected", "sleep 600", "--hook-timeout", "8s")
            try await waitForEvent("address_taken", of: run)
            for _ in 0..<50 {
                try await Task.sleep(for: .milliseconds(100))
                #expect(try presence.isThere(0))
            }
            try ForeignWriterTests.write(ForeignWriterTests.goRecord("go-node"), to: box.leaseFile("x"))
            try await waitUntil("the address is removed") { try !presence.isThere(0) }
            #expect(try !events(run).contains("lost"))
            try await run.terminate()
        }
    }

    @Test("a virtual address that another process removes is restored at the next renewal")
    func putBack() async throws {
        try await inNetworks { box, networks in
            let presence = try Presence(Self.four, networks)
            let run = try keepalive(box, networks)
            try await waitForEvent("address_taken", of: run)
            try await networks.ip(0, "addr del 10.9.9.5/24 dev v0", in: box)
            try await waitUntil("the address is back", within: .seconds(90)) { try presence.isThere(0) }
            try await waitForEvent("address_taken", of: run, count: 2)
            #expect(run.errors == "qq: another program had removed 10.9.9.5/24@v0: restored it\n")
            try await run.terminate()
        }
    }

    @Test("if a virtual address cannot be restored, qq steps down and another process can lead")
    func interfaceGone() async throws {
        try await inNetworks { box, networks in
            let run = try keepalive(box, networks)
            try await waitForEvent("address_taken", of: run)
            try await networks.ip(0, "link set v0 name w0", in: box)
            try await waitForEvent("released", of: run)
            #expect(try events(run) == ["elected", "address_taken", "address_removed", "released"])
            #expect(run.errors.contains("cannot carry 10.9.9.5/24@v0: there is no interface v0 here"))
            #expect(try await box.run("acquire", "x", "--", "true").ending == .exited(0))
            try await run.terminate()
        }
    }

    @Test("without CAP_NET_ADMIN qq does not campaign for a virtual address")
    func denied() async throws {
        try await inNetworks { box, networks in
            let run = try keepalive(box, networks, under: ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"])
            let end = try await run.finish()
            #expect(end.ending == .exited(77))
            #expect(end.text == "")
            #expect(
                end.errors.hasPrefix(
                    "qq: cannot carry 10.9.9.5/24@v0: changing addresses needs the capability CAP_NET_ADMIN (--vip)\nqq: run qq as root"))
            #expect(readBytes(box.leaseFile("x")) == nil)
        }
    }

    @Test("without CAP_NET_RAW a virtual address is set but not announced to the neighbours")
    func notAnnounced() async throws {
        try await inNetworks { box, networks in
            let presence = try Presence(Self.four, networks)
            let run = try keepalive(box, networks, under: ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"])
            try await waitForEvent("address_taken", of: run)
            #expect(try presence.isThere(0))
            try await run.terminate()
            #expect(run.errors == "qq: cannot announce 10.9.9.5/24@v0 to the neighbours: this needs the capability CAP_NET_RAW\n")
        }
    }

    @Test("a virtual address that another interface has or another qq carries is refused and left alone")
    func conflicts() async throws {
        try await inNetworks { box, networks in
            func problem(_ address: String) async throws -> (Int32?, String) {
                let end = try await keepalive(box, networks, address: address).finish()
                return (end.code, String(end.errors.prefix { $0 != "\n" }))
            }
            #expect(
                try await problem("10.9.9.5/24@lo2") == (78, "qq: cannot carry 10.9.9.5/24@lo2: there is no interface lo2 here (--vip)"))
            #expect(try await problem("10.9.9.1/24@lo") == (78, "qq: cannot carry 10.9.9.1/24@lo: v0 has it already (--vip)"))
            #expect(
                try await problem("10.9.9.1/32@v0") == (78, "qq: cannot carry 10.9.9.1/32@v0: v0 has it already, as 10.9.9.1/24 (--vip)"))
            let run = try keepalive(box, networks)
            try await waitForEvent("address_taken", of: run)
            let presence = try Presence(Self.four, networks)
            let second = try await problem(Self.four)
            #expect(second.0 == 69)
            #expect(second.1.contains("process \(run.pid) on this machine already carries it"))
            #expect(try presence.isThere(0))
            try await run.terminate()
        }
    }
}

@Suite("A virtual address on the command line")
struct VirtualAddressUsageTests {
    @Test(
        "--vip is checked before qq campaigns",
        arguments: [
            (["x", "--vip", "10.0.0.300/24@eth0"], "--vip '10.0.0.300/24@eth0': '10.0.0.300' is not an IP address"),
            (["x", "--vip", "10.0.0.5/24"], "--vip '10.0.0.5/24': no interface is named"),
            (["x", "--once", "--vip", "10.0.0.5/24@lo"], "--once and --vip exclude each other"),
            (["x", "y", "--vip", "10.0.0.5/24@lo"], "--vip needs exactly one election, not 2"),
            (
                ["x", "--ttl", "3s", "--vip", "10.0.0.5/24@lo"],
                "cannot carry an address under a TTL of 3s renewed every 1s: the kernel needs more time than that to remove the address before the lease ends (--vip)"
            ),
            (
                ["x", "--ttl", "15s", "--renew-every", "14s", "--vip", "10.0.0.5/24@lo"],
                "cannot carry an address under a TTL of 15s renewed every 14s: the kernel needs more time than that to remove the address before the lease ends (--vip)"
            ),
        ])
    func usage(_ arguments: [String], _ message: String) async throws {
        try await inSandbox { box in
            let end = try await box.start([Sandbox.binary, "keepalive"] + arguments).finish()
            #expect(end.ending == .exited(64))
            #expect(end.errors.hasPrefix("qq: \(message)\n"), "\(end.errors)")
            #expect(readBytes(box.leaseFile("x")) == nil)
        }
    }
}
