import QQCore
import Support
import Testing

@testable import QQCLI

extension QuestPlace {
    /// Starts `qq` with another server URL than the server's own: a proxy's, or one with several addresses.
    func qq(_ words: [String], at url: String? = nil) throws -> Started {
        try box.start([Sandbox.binary] + words, environment: url.map { ["QQ_SERVER": $0] } ?? environment)
    }

    func run(_ words: [String], at url: String? = nil, within limit: Duration = waitingTime) async throws -> Run {
        try await qq(words, at: url).finish(within: limit)
    }

    func proxy() throws -> Proxy { try Proxy(to: server.port, in: box) }

    /// Holds an election with a command that does nothing until it is ended.
    func hold(_ name: String, _ options: String..., at url: String? = nil) async throws -> Started {
        try await box.hold(name, options, environment: url.map { ["QQ_SERVER": $0] } ?? environment)
    }

    /// Arguments of a command that leaves stamps. Quorum Quest has no fencing tokens; the time takes their place, because it grows too.
    func stamping(_ options: String..., log: String = "stamps") -> [String] {
        ["--", "sh", "-c", #"QQ_TOKEN=$(date +%s%N) exec "$0" "$@""#, Sandbox.stamp, box.path(log)] + options
    }

    /// When the lease of `id` ends as the server counts it, on the clock of the stamps; nil if `id` has none.
    func end(of name: String, by id: String) -> UInt64? {
        guard server.holder(name) == id, let left = server.remaining(name), left > .zero else { return nil }
        return bootNow() + UInt64(left.nanoseconds)
    }

    /// Waits until `id` has made more than `before` calls of this method.
    func waitForCall(_ method: String, by id: String, after before: Int, _ run: Started) async throws {
        try await waitUntil("another \(method): \(run.output) \(run.errors)") {
            guard run.child.isRunning else { throw TimedOut("qq ended: \(run.child.ending as Any) \(run.errors)") }
            return server.calls[method, id] > before
        }
    }
}

extension Sandbox {
    func hold(_ name: String, _ options: [String], environment: [String: String]) async throws -> Started {
        let holder = try start(
            [Self.binary, "acquire", name] + options + ["--", "sh", "-c", "echo held; exec sleep 600"], environment: environment)
        try await waitUntil("\(name) is held: \(holder.errors)") {
            guard holder.child.isRunning else { throw TimedOut("the holder ended: \(holder.errors)") }
            return holder.output.contains("held")
        }
        return holder
    }
}

extension Proxy {
    var questURL: String { "qq://127.0.0.1:\(port)" }
}

extension Started {
    /// The events of `keepalive --json` so far, without a line that is still being written.
    var eventNames: [String] {
        output.split(separator: "\n").compactMap { try? object($0)["event"]?.stringValue }
    }
}
