import Glibc
import Support
import Testing

@Suite("A session on NATS")
struct SessionOnNATSTests {
    @Test("a session's guarded commands use its login, which is not in their environment")
    func login() async throws {
        try await inSandbox { box in
            var settings = NATSSettings()
            settings.name = "password"
            settings.authorization = .user("alice", password: "op3n-sesame")
            let server = try await NATSServer.start(.latest, settings, in: box)
            let person = try await AtPrompt(
                in: box, prompt: "nats>",
                environment: ["QQ_SERVER": server.url, "QQ_NATS_USER": "alice", "QQ_NATS_PASSWORD": "op3n-sesame"])
            try await person.run("acquire web --id me", "acquired web")
            try await person.terminal.enter("acquire job --id me -- sh -c 'echo at work; env | grep -c -e sesame -e alice'")
            try await person.terminal.expectLine("at work")
            try await person.terminal.expectLine("0")
            try await person.isBack()
            try await person.leave()
        }
    }

    @Test("a session reports that its connection is cut and restored, above the typed line")
    func reconnecting() async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let person = try await AtPrompt(in: box, prompt: "nats>", environment: ["QQ_SERVER": server.url])
            try await person.run("acquire web --id me --ttl 20s", "acquired web")
            try await person.terminal.type("half")
            try await server.restart(killed: true)
            try await person.terminal.expect("web: disconnected: ")
            try await person.terminal.expect("web: connected again: ")
            try await person.terminal.wait(for: "what was typed") {
                AtPrompt.last($0).hasPrefix("nats web ") && AtPrompt.last($0).hasSuffix("s> half")
            }
            try await person.terminal.press("C-c")
            try await person.run("release web", "released web")
            try await person.leave()
        }
    }

    @Test("a session keeps no connection of a finished command or a released lease")
    func connections() async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let person = try await AtPrompt(in: box, prompt: "nats>", environment: ["QQ_SERVER": server.url])
            let pid = person.terminal.pid
            func sockets() -> Int { descriptors(of: pid).count { $0.hasPrefix("socket:") } }
            // Connections of completion might still be open.
            try await waitUntil("no connection is open at the start: \(descriptors(of: pid))") { sockets() == 0 }
            try await person.run("acquire web --id me", "acquired web")
            try await waitUntil("only the lease's connection is open") { sockets() == 1 }
            for _ in 0..<5 { try await person.run("status web", "web ") }
            try await person.run("cluster-status", "reachable")
            try await waitUntil("still only one connection is open: \(descriptors(of: pid))") { sockets() == 1 }
            try await person.run("release web", "released web")
            try await waitUntil("no connection is left: \(descriptors(of: pid))") { sockets() == 0 }
            try await person.leave()
        }
    }

    /// The targets of a process's descriptors.
    private func descriptors(of pid: pid_t) -> [String] {
        let folder = "/proc/\(pid)/fd"
        guard let listing = opendir(folder) else { return [] }
        defer { closedir(listing) }
        var found: [String] = []
        while let entry = readdir(listing) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            var target = [CChar](repeating: 0, count: 256)
            if readlink(folder + "/" + name, &target, target.count - 1) > 0 {
                found.append(String(decoding: target.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
            }
        }
        return found
    }

    @Test("Tab after --node completes the members of an election")
    func members() async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            let environment = ["QQ_SERVER": server.url]
            let leader = try box.qq("keepalive", "web", "--id", "node-lead", environment: environment)
            try await waitUntil("qq leads: \(leader.errors)") { leader.output.contains("elected") }
            let follower = try box.qq("keepalive", "web", "--id", "node-follow", environment: environment)
            try await waitUntil("qq waits: \(follower.errors)") { follower.output.contains("waiting") }
            let person = try await AtPrompt(in: box, prompt: "nats>", environment: environment)
            for (begin, whole) in [("node-f", "node-follow"), ("node-l", "node-lead")] {
                try await person.terminal.type("step-down web --node \(begin)")
                let end = ContinuousClock.now + .seconds(20)
                while ContinuousClock.now < end {
                    try await person.terminal.press("Tab")
                    if try await AtPrompt.last(person.terminal.screen()).hasSuffix(whole) { break }
                }
                try await person.terminal.expectLast("nats> step-down web --node \(whole)")
                try await person.terminal.press("C-c")
                try await person.isBack()
            }
            try await person.leave()
            try await follower.terminate()
            try await leader.terminate()
        }
    }
}
