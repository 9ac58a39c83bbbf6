import Glibc
import QQCore
import Support
import Testing

@Suite("--listen") struct ListenTests {
    @Test("/leader follows a keepalive from waiting to leading, and the name of the leader is answered to both")
    func handover() async throws {
        try await inSandbox { box in
            let first = try box.qq("keepalive", "x", "--id", "a", "--listen", ":0")
            try await first.waitForLeader(200)
            let second = try box.qq("keepalive", "x", "--id", "b", "--listen", "localhost:0")
            try await waitUntil("b knows who leads") { second.errors.contains("listening") }
            let port = try await second.listeningPort()
            try await waitUntil("b waits") { try httpGet(port, "/").body.starts(with: Array(#"{"name":"a","#.utf8)) }
            #expect(try await second.ask("/leader").status == 503)
            let own = try await first.ask("/").object()
            #expect(own["name"]?.stringValue == "a" && own["leading"]?.boolValue == true && own["token"]?.uint64Value == 1)
            try await first.terminate()
            try await second.waitForLeader(200)
            #expect(try await second.ask("/livez").status == 200)
            #expect(try await second.ask("/metrics").status == 200)
            #expect(try await second.ask("/nothing").status == 404)
            try await second.terminate()
        }
    }

    @Test("/leader is 503 before a lease is released: while the hooks for its end still run") func releasing() async throws {
        try await inSandbox { box in
            let run = try box.qq("keepalive", "x", "--listen", ":0", "--on-lost", "until test -e go; do sleep 0.02; done")
            try await run.waitForLeader(200)
            run.child.signal(SIGTERM)
            try await run.waitForLeader(503)
            #expect(try await box.run("status", "x").ending == .exited(0))
            try box.write("", to: "go")
            #expect(try await run.finish().ending == .exited(0))
        }
    }

    @Test("with a command /leader is 200 while the command runs, and 503 once it has ended although the lease is kept")
    func command() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("x")
            let run = try box.qq(
                "acquire", "x", "--wait", "--id", "b", "--min-hold", "10m", "--listen", ":0", "--", "sh", "-c",
                "until test -e go; do sleep 0.02; done")
            #expect(try await run.ask("/leader").status == 503)
            try await holder.terminate()
            try await run.waitForLeader(200)
            try box.write("", to: "go")
            try await run.waitForLeader(503)
            #expect(try await run.ask("/").object()["name"]?.stringValue == "b")
            #expect(try await box.run("status", "x").ending == .exited(0))
            run.child.signal(SIGTERM)
            #expect(try await run.finish().ending == .exited(128 + SIGTERM))
        }
    }

    @Test("several elections are told apart by ?election=, and slots by their name") func several() async throws {
        try await inSandbox { box in
            let holder = try await box.hold("b")
            let run = try box.qq("keepalive", "a", "b", "--listen", ":0")
            try await run.waitForLeader(200, "?election=a")
            #expect(try await run.ask("/leader?election=b").status == 503)
            #expect(try await run.ask("/leader").status == 400)
            #expect(try await run.ask("/").object()["elections"]?.arrayValue?.count == 2)
            try await run.terminate()
            try await holder.terminate()
            let slots = try box.qq("keepalive", "s", "--slots", "2", "--listen", ":0")
            try await slots.waitForLeader(200, "?election=s")
            #expect(try await slots.ask("/leader").object()["slot"]?.int64Value == 1)
            try await slots.terminate()
        }
    }

    @Test("a process that was stopped beyond its TTL says 503 in its first answer, whatever it believed before")
    func stopped() async throws {
        try await inSandbox(.heavy) { box in
            let run = try box.qq("keepalive", "x", "--ttl", "4s", "--renew-every", "500ms", "--listen", ":0", "--json")
            try await run.waitForLeader(200)
            let port = try await run.listeningPort()
            try await box.stop(run, holding: "x")
            // The kernel takes these requests, and qq reads them first of all.
            let requests = try (0..<8).map { _ in try PendingRequest(port, "/leader") }
            let other = try await box.hold("x", "--wait")
            kill(run.pid, SIGCONT)
            for request in requests { #expect(try request.statusLine().hasPrefix("HTTP/1.1 503 ")) }
            try await waitUntil("qq waits for the other holder: \(run.output)") { run.output.contains(#""event":"waiting""#) }
            #expect(try await run.ask("/leader").status == 503)
            try await other.terminate()
            try await run.waitForLeader(200)
            try await run.terminate()
        }
    }

    @Test("a holder that is cut off says 503 before the next one can lead", arguments: CutOff.allCases)
    func cutOff(cutOff: CutOff) async throws {
        try await inSandbox(.heavy) { box in
            let server = try await NATSServer.start(in: box)
            let proxy = try Proxy(to: server.port, in: box)
            let holder = try box.start(
                [Sandbox.binary, "keepalive", "x", "--ttl", "3s", "--listen", ":0"],
                environment: ["QQ_SERVER": "nats://127.0.0.1:\(proxy.port)"])
            try await holder.waitForLeader(200)
            let port = try await holder.listeningPort()
            let next = try box.start(
                [Sandbox.binary, "acquire", "x", "--ttl", "3s", "--wait", "--", Sandbox.stamp, box.path("stamps"), "--for", "50"],
                environment: ["QQ_SERVER": server.url])
            cutOff.apply(to: proxy)
            // When the last request was sent that was answered with 200.
            var last: UInt64 = 0
            try await waitUntil("the next command runs") {
                let sent = bootNow()
                if try httpGet(port, "/leader").status == 200 { last = sent }
                return box.stamps().terms.count == 1
            }
            #expect(last > 0)
            #expect(last < box.stamps().terms[0].first)
            #expect(try await next.finish().ending == .exited(0))
            #expect(holder.child.isRunning)
            #expect(try httpGet(port, "/livez").status == 200, "a restart would not end an outage")
            holder.child.signal(SIGKILL)
            _ = try await holder.finish()
        }
    }

    @Test("a flood of requests and slow clients cost no renewal, and no more than the allowed connections") func flood() async throws {
        try await inSandbox(.heavy) { box in
            let run = try box.qq("keepalive", "x", "--ttl", "4s", "--renew-every", "200ms", "--listen", ":0", "--json")
            try await run.waitForLeader(200)
            let port = try await run.listeningPort()
            let before = names(in: "/proc/\(run.pid)/fd").count
            func renewals() -> Int { run.output.split(separator: "\n").count { $0.contains(#""event":"renewed""#) } }
            let (start, begun) = (bootNow(), renewals())
            // Clients that ask and do not wait, as fast as they can; then also some that never finish, more than are served at a time.
            let quick = Crowd(port, "GET /leader HTTP/1.1\r\n\r\n", most: 300)
            let slow = Crowd(port, "GET /leader HTTP/1.1\r\nA:", most: 150)
            try await waitUntil("two TTLs and twenty renewals, and enough clients: \(quick.sent) and \(slow.sent)") {
                quick.arrive(50)
                if bootNow() > start + 4_000_000_000 { slow.arrive(2) }
                #expect(names(in: "/proc/\(run.pid)/fd").count <= before + 70)
                return bootNow() > start + 8_000_000_000 && renewals() >= begun + 20 && quick.sent > 500 && slow.sent > 50
            }
            #expect(!run.output.contains(#""event":"lost""#), "\(run.output)")
            quick.leave()
            slow.leave()
            try await run.waitForLeader(200)
            try await run.terminate()
        }
    }

    @Test("commands, hooks and the guardian do not inherit the sockets") func descriptors() async throws {
        try await inSandbox { box in
            let run = try box.qq(
                "acquire", "x", "--listen", ":0", "--on-elected", "ls -l /proc/$$/fd >hook", "--", "sh", "-c",
                "ls -l /proc/$$/fd >command; exec sleep 600")
            try await run.waitForLeader(200)
            try await waitUntil("the command runs") { box.read("command").contains("->") }
            #expect(box.read("hook").contains("->") && !box.read("hook").contains("socket:"), "\(box.read("hook"))")
            #expect(!box.read("command").contains("socket:"), "\(box.read("command"))")
            let port = String(try await run.listeningPort(), radix: 16, uppercase: true)
            let ending = ":" + String(repeating: "0", count: 4 - port.count) + port
            let lines: [[Substring]] = readText("/proc/net/tcp").split(separator: "\n").map { $0.split(separator: " ") }
            let listening = try #require(lines.first { $0.count > 9 && $0[1].hasSuffix(ending) && $0[3] == "0A" })
            let socket = "socket:[\(listening[9])]"
            #expect(links(of: run.pid).contains(socket))
            #expect(!links(of: try await box.guardian(of: run).pid).contains(socket))
            try await run.terminate()
        }
    }

    private func links(of pid: pid_t) -> [String] {
        names(in: "/proc/\(pid)/fd").map { name in
            var buffer = [CChar](repeating: 0, count: 256)
            let length = readlink("/proc/\(pid)/fd/\(name)", &buffer, buffer.count)
            return String(decoding: buffer.prefix(max(0, length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }

    @Test("without --listen no thread is started") func noThread() async throws {
        try await inSandbox { box in
            func hasThread(_ run: Started) -> Bool {
                names(in: "/proc/\(run.pid)/task").contains { readText("/proc/\(run.pid)/task/\($0)/comm").hasPrefix("NIO") }
            }
            let plain = try box.qq("keepalive", "x")
            try await waitUntil("x is held") { plain.output.contains("elected") }
            let listening = try box.qq("keepalive", "y", "--listen", ":0")
            try await listening.waitForLeader(200)
            #expect(hasThread(listening) && !hasThread(plain))
            try await plain.terminate()
            try await listening.terminate()
        }
    }

    @Test("a Unix socket of a killed qq is replaced, one that is served is refused, and it is removed at the end")
    func unixSocket() async throws {
        try await inSandbox { box in
            let (path, address) = (box.path("s"), "unix:" + box.path("s"))
            let first = try box.qq("keepalive", "x", "--listen", address)
            try await waitUntil("qq answers: \(first.errors)") { (try? httpGet(unix: path, "/leader"))?.status == 200 }
            let refused = try await box.run("keepalive", "y", "--listen", address)
            #expect(refused.ending == .exited(69) && refused.errors.contains("another program listens there"), "\(refused.errors)")
            first.child.signal(SIGKILL)
            _ = try await first.finish()
            #expect(access(path, F_OK) == 0)
            let second = try box.qq("keepalive", "x", "--listen", address)
            try await waitUntil("qq answers: \(second.errors)") { (try? httpGet(unix: path, "/leader"))?.status == 200 }
            try await second.terminate()
            #expect(access(path, F_OK) != 0)
        }
    }

    @Test("an address that cannot be used is an error before anything is acquired") func unusable() async throws {
        try await inSandbox { box in
            let first = try box.qq("keepalive", "x", "--listen", ":0")
            let port = try await first.listeningPort()
            try box.write("", to: "file")
            for (address, code) in [
                (":\(port)", Int32(69)), ("unix:" + box.path("file"), 78), ("unix:" + box.path("none/s"), 69), ("192.0.2.1:0", 69),
                ("host:80", 64),
            ] {
                let keepalive = try await box.run("keepalive", "y", "--listen", address)
                #expect(keepalive.ending == .exited(code), "\(address): \(keepalive.errors)")
                let acquire = try await box.run("acquire", "y", "--listen", address, "--", "touch", box.path("ran"))
                #expect(acquire.ending == .exited(code), "\(address): \(acquire.errors)")
            }
            #expect(access(box.path("ran"), F_OK) != 0 && access(box.leaseFile("y"), F_OK) != 0)
            #expect(try await box.run("acquire", "y", "--listen", ":0").ending == .exited(64))
            #expect(try await box.run("keepalive", "y", "--once", "--listen", ":0").ending == .exited(64))
            try await first.terminate()
        }
    }
}
