import Glibc
import Support
import Testing

/// A system without a liveness lock, on which the guardian of a killed `qq` gives the lease up.
enum NetworkedSystem: String, CaseIterable, Sendable {
    case nats, kubernetes, raftLock, quorumQuest, consul

    /// Runs a test on a server of its own, with the environment that names the server.
    func run(_ body: (Sandbox, [String: String]) async throws -> Void) async throws {
        switch self {
        case .nats: try await onNATS(.latest, .v2) { try await body($0.box, ["QQ_SERVER": $0.url]) }
        case .kubernetes: try await onKubernetes { try await body($0.box, $0.environment) }
        case .raftLock: try await onRaftLock { try await body($0.box, ["QQ_SERVER": $0.cluster.url]) }
        case .quorumQuest: try await onQuorumQuest { try await body($0.box, $0.environment) }
        case .consul: try await onConsul { try await body($0.box, $0.environment()) }
        }
    }
}

@Suite("The deputy of a killed qq") struct DeputyTests {
    /// Far longer than any test waits: without a deputy, nobody else would lead.
    private static let ttl = "120s"

    /// Starts `qq acquire` with a command that leaves stamps. The time takes the place of tokens: not every system has some.
    private func work(_ box: Sandbox, _ environment: [String: String], _ options: [String] = [], _ work: [String] = []) throws -> Started {
        try box.start(
            [Sandbox.binary, "acquire", "x", "--ttl", Self.ttl] + options + [
                "--", "sh", "-c", #"QQ_TOKEN=$(date +%s%N) exec "$0" "$@""#, Sandbox.stamp, box.path("stamps"),
            ] + work, environment: environment)
    }

    /// Waits until neither a `qq` nor a guardian of the test is left.
    private func waitForEnd(_ box: Sandbox) async throws {
        try await waitUntil("no qq is left: \(box.living.map(\.name))") {
            !box.living.contains { ["qq", "lease-guardian", "stamp"].contains($0.name) }
        }
    }

    @Test(
        "the next command starts once the killed qq's processes are dead, long before its lease ends", arguments: NetworkedSystem.allCases)
    func handsOver(system: NetworkedSystem) async throws {
        try await system.run { box, environment in
            let holder = try work(box, environment, [], ["--child", "--daemon", "--ignore-term"])
            try await waitUntil("all its processes run: \(holder.errors)") { box.stamps().count("daemon") > 0 }
            let next = try work(box, environment, ["--wait", "--backoff", "100ms..500ms"], ["--for", "50"])
            holder.child.signal(SIGKILL)
            let run = try await next.finish(within: .seconds(120))
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(box.stamps().violations == [])
        }
    }

    @Test("if the guardian is killed as well, the lease is left to expire", arguments: [NetworkedSystem.nats, .kubernetes, .consul])
    func noGuardian(system: NetworkedSystem) async throws {
        try await system.run { box, environment in
            let holder = try work(box, environment)
            _ = try await box.waitForTerms(1)
            let guardian = try await box.guardian(of: holder)
            holder.child.signal(SIGSTOP)
            kill(guardian.pid, SIGKILL)
            holder.child.signal(SIGKILL)
            try await waitForEnd(box)
            #expect(try await box.start([Sandbox.binary, "status", "x"], environment: environment).finish().ending == .exited(0))
        }
    }

    @Test("a lease that has to be held longer (--min-hold) is not given up before") func minimumHold() async throws {
        try await NetworkedSystem.nats.run { box, environment in
            let holder = try work(box, environment, ["--min-hold", "6s"])
            _ = try await box.waitForTerms(1)
            let began = bootNow()
            holder.child.signal(SIGKILL)
            let next = try work(box, environment, ["--wait"], ["--for", "50"])
            #expect(try await next.finish(within: .seconds(120)).ending == .exited(0))
            let second = try #require(box.stamps().terms.last)
            #expect(second.first > began + 4_000_000_000)
        }
    }

    @Test("the lease is given up even if the killed qq's metrics file has become a pipe") func metricsFile() async throws {
        try await NetworkedSystem.nats.run { box, environment in
            let file = box.path("qq.prom")
            let holder = try work(box, environment, ["--metrics-file", file])
            _ = try await box.waitForTerms(1)
            // A running qq could replace the pipe.
            holder.child.signal(SIGSTOP)
            unlink(file)
            try #require(mkfifo(file, 0o600) == 0)
            let next = try work(box, environment, ["--wait"], ["--for", "50"])
            holder.child.signal(SIGKILL)
            let run = try await next.finish(within: .seconds(90))
            #expect(run.ending == .exited(0), "\(run.errors)")
        }
    }

    @Test("a qq that ends by itself has no deputy: a lease that it could not release stays") func noDeputyAfterAnEnd() async throws {
        try await onNATS(.latest, .v2) { place in
            let box = place.box
            let proxy = try Proxy(to: place.server.port, in: box)
            let holder = try work(
                box, ["QQ_SERVER": "nats://127.0.0.1:\(proxy.port)?format=v2"], ["--retries", "0", "--timeout", "3s"],
                ["--for", "6000"])
            _ = try await box.waitForTerms(1)
            proxy.silence()
            _ = try await holder.finish(within: .seconds(90))
            proxy.pass()
            try await waitForEnd(box)
            #expect(try place.lease() != nil)
        }
    }

    @Test("a lease of an identity that another process might have is not given up where only the identity names it")
    func sharedIdentity() async throws {
        try await onQuorumQuest { place in
            let holder = try work(place.box, place.environment, ["--id", "host"])
            _ = try await place.box.waitForTerms(1)
            holder.child.signal(SIGKILL)
            try await waitForEnd(place.box)
            #expect(place.server.holder("x") == "host")
        }
    }

    @Test("a server that the words name only since then is left alone, even if the same term is held there") func otherServer() async throws
    {
        try await onNATS(.latest, .v2) { first in
            try await onNATS(.latest, .v2) { second in
                let box = first.box
                let environment = ["QQ_SERVER": "", "XDG_CONFIG_HOME": box.path("config")]
                func name(_ url: String) async throws {
                    let command = [Sandbox.binary, "context", "add", "here", "--replace", "-s", url]
                    try #require(await box.start(command, environment: environment).finish().ending == .exited(0))
                }
                try await name(first.url)
                let holder = try work(box, environment, ["--id", "host", "--context", "here"])
                _ = try await box.waitForTerms(1)
                let command = [Sandbox.binary, "acquire", "x", "--id", "host", "--ttl", Self.ttl]
                try #require(await box.start(command, environment: ["QQ_SERVER": second.url]).finish().ending == .exited(0))
                try await name(second.url)
                holder.child.signal(SIGKILL)
                try await waitForEnd(box)
                #expect(try second.lease() != nil)
                #expect(try first.lease() != nil)
            }
        }
    }

    @Test("a limit for files (RLIMIT_FSIZE) does not keep a command from its work") func fileLimit() async throws {
        try await onNATS(.latest, .v2) { place in
            let words = ["sh", "-c", #"ulimit -f 0; exec "$0" "$@""#, Sandbox.binary, "acquire", "x", "--", "true"]
            let run = try await place.box.start(words, environment: ["QQ_SERVER": place.url]).finish()
            #expect(run.ending == .exited(0), "\(run.errors)")
        }
    }
}
