import Glibc
import QQCore
import Synchronization

/// A small blocking NATS client for tests, to prepare and inspect servers. It is independent of qq's client.
public final class RawNATS: Sendable {
    public enum Credentials: Sendable {
        case none
        case user(String, password: String)
        case token(String)
        case nkey(NKey)
        case jwt(String, NKey)
    }

    private struct State {
        var wire: NATSWire
        var subscriptions = 0
        var requests = 0
        var waiting: [NATSDelivery] = []
    }

    private let state: Mutex<State>
    private let inbox = "_INBOX.raw\(UInt64.random(in: 0...UInt64.max))"
    /// The server's first INFO.
    public let info: JSONValue

    /// Connects without TLS.
    public init(_ port: UInt16, as credentials: Credentials = .none, within limit: Duration = .seconds(20)) throws {
        let end = ContinuousClock.now + limit
        var wire = try NATSWire(port: port)
        do {
            guard let first = try wire.next(until: end), first.verb == "INFO" else { throw SocketError("no INFO within \(limit)") }
            info = try JSONValue.parse(first.payload ?? [])
            var options: [JSONObject.Member] = [
                .init(name: "verbose", value: false), .init(name: "pedantic", value: false), .init(name: "headers", value: true),
                .init(name: "no_responders", value: true), .init(name: "protocol", value: 1), .init(name: "lang", value: "raw"),
                .init(name: "version", value: "1"),
            ]
            func add(_ name: String, _ value: String) { options.append(.init(name: name, value: .string(value))) }
            let nonce = info["nonce"]?.stringValue ?? ""
            switch credentials {
            case .none: break
            case .user(let user, let password):
                add("user", user)
                add("pass", password)
            case .token(let token): add("auth_token", token)
            case .nkey(let key):
                add("nkey", key.publicText)
                add("sig", base64URL(try key.sign(nonce)))
            case .jwt(let token, let key):
                add("jwt", token)
                add("sig", base64URL(try key.sign(nonce)))
            }
            try wire.send("CONNECT " + JSONWriter.string(.object(JSONObject(options))))
            try wire.send("SUB \(inbox).* 1")
            try wire.send("PING")
            while true {
                guard let line = try wire.next(until: end) else { throw SocketError("no PONG within \(limit)") }
                if line.verb == "PONG" { break }
                if line.verb == "-ERR" { throw SocketError(line.text) }
            }
        } catch {
            wire.close()
            throw error
        }
        state = Mutex(State(wire: wire, subscriptions: 1))
    }

    deinit { state.withLock { $0.wire.close() } }

    // MARK: Messages

    public func publish(
        _ subject: String, _ payload: String = "", headers: [(String, String)] = [], reply: String? = nil
    ) throws {
        try state.withLock { try Self.publish(&$0, subject, Array(payload.utf8), headers, reply) }
    }

    private static func publish(
        _ state: inout State, _ subject: String, _ payload: [UInt8], _ headers: [(String, String)], _ reply: String?
    ) throws {
        let words = [headers.isEmpty ? "PUB" : "HPUB", subject] + (reply.map { [$0] } ?? [])
        try state.wire.send(words.joined(separator: " "), headers: headers.isEmpty ? nil : natsHeaders(headers), payload: payload)
    }

    /// Subscribes and returns the subscription's number, for `next`.
    public func subscribe(_ subject: String, queue: String? = nil) throws -> Int {
        try state.withLock { state in
            state.subscriptions += 1
            try state.wire.send((["SUB", subject] + (queue.map { [$0] } ?? []) + ["\(state.subscriptions)"]).joined(separator: " "))
            // The server knows the subscription once it has answered this PING.
            try state.wire.send("PING")
            try Self.read(&state, until: ContinuousClock.now + .seconds(20), "a PONG") { $0.verb == "PONG" }
            return state.subscriptions
        }
    }

    /// The next message of a subscription; nil if none arrives in time.
    public func next(_ subscription: Int, within limit: Duration = .seconds(20)) throws -> NATSDelivery? {
        try state.withLock { state in
            let end = ContinuousClock.now + limit
            while true {
                if let place = state.waiting.firstIndex(where: { $0.subscription == subscription }) {
                    return state.waiting.remove(at: place)
                }
                guard let line = try state.wire.next(until: end) else { return nil }
                try Self.take(&state, line)
            }
        }
    }

    /// Sends a request and waits for its answer. Status 503 means that nothing listens on the subject.
    public func request(
        _ subject: String, _ payload: String = "", headers: [(String, String)] = [], within limit: Duration = .seconds(20)
    ) throws -> NATSDelivery {
        try state.withLock { state in
            state.requests += 1
            let reply = "\(inbox).\(state.requests)"
            try Self.publish(&state, subject, Array(payload.utf8), headers, reply)
            let end = ContinuousClock.now + limit
            while true {
                if let place = state.waiting.firstIndex(where: { $0.subject == reply }) { return state.waiting.remove(at: place) }
                guard let line = try state.wire.next(until: end) else { throw SocketError("no answer to \(subject) within \(limit)") }
                try Self.take(&state, line)
            }
        }
    }

    /// Sends a request and collects answers until `quiet` passes without one. Waits longer for each of the first `expected` answers.
    public func requestMany(
        _ subject: String, _ payload: String = "", expected: Int = 0, quiet: Duration = .milliseconds(300)
    ) throws -> [NATSDelivery] {
        let answers = "_INBOX.many\(UInt32.random(in: 0...UInt32.max)).1"
        let subscription = try subscribe(answers)
        try publish(subject, payload, reply: answers)
        var found: [NATSDelivery] = []
        while let answer = try next(subscription, within: found.count < expected ? .seconds(20) : quiet) { found.append(answer) }
        return found
    }

    private static func take(_ state: inout State, _ line: NATSLine) throws {
        if line.verb == "PING" { try state.wire.send("PONG") }
        if line.verb == "-ERR" { throw SocketError(line.text) }
        if let delivery = NATSDelivery(line) { state.waiting.append(delivery) }
    }

    private static func read(
        _ state: inout State, until end: ContinuousClock.Instant, _ what: String, _ condition: (NATSLine) -> Bool
    ) throws {
        while true {
            guard let line = try state.wire.next(until: end) else { throw SocketError("timed out waiting for \(what)") }
            if condition(line) { return }
            try take(&state, line)
        }
    }
}
