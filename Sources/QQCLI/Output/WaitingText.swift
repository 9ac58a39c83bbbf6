import QQCore

// What commands say that they wait for.
extension Context {
    /// Runs `body`, and shows meanwhile that the server is asked.
    func asking<Answer>(_ body: () async throws -> Answer) async rethrows -> Answer {
        guard let progress else { return try await body() }
        progress.wait(for: Waiting.asking(server))
        defer { progress.end() }
        return try await body()
    }

    /// Shows that a campaign for the one election has begun.
    func campaignBegins() { progress?.wait(for: Waiting.asking(server, for: name)) }

    /// A guarded command is about to start, which may write to the same terminal.
    func progressEnds() {
        progress?.end()
        Streams.settle()
    }

    /// Shows what the campaign waits for after an event. What follows upon it shows nothing: renewals go on behind other things.
    func follow(_ event: SessionEvent) {
        guard let progress else { return }
        switch event {
        case .waiting(let state): progress.change(to: Waiting.turn(state, for: identity))
        case .retrying: progress.change(to: Waiting.again(server, for: name))
        case .elected, .extended, .lost, .released, .releaseFailed, .notWithdrawn: progress.end()
        case .stepDownAsked: break
        }
    }
}

/// What is waited for, as it is shown.
enum Waiting {
    /// `asking nats://h1:4222`
    static func asking(_ server: ServerURL, for name: String? = nil) -> String {
        (name.map { "\($0): " } ?? "") + (server.system.isOverNetwork ? "asking " : "reading ") + server.description
    }

    /// `web: held by n1, waiting for its turn`
    /// - Parameter identity: who waits.
    static func turn(_ state: ElectionState, for identity: String) -> String {
        if !state.isLed, state.cooldown != nil { return "\(state.name): free, but \(identity) stepped down and has to wait" }
        switch state.phase {
        case .held:
            let holder = state.leader ?? "a command whose lease was removed"
            let others = state.waiters.map { $0 > 1 ? ", one of \($0)" : "" } ?? ""
            return "\(state.name): held by \(holder), waiting for its turn\(others)"
        case .unknown: return "\(state.name): held by somebody else, waiting for its turn"
        case .free, .expired: return "\(state.name): waiting for its turn"
        }
    }

    /// `web: trying again at nats://h1:4222`
    static func again(_ server: ServerURL, for name: String? = nil) -> String {
        (name.map { "\($0): " } ?? "") + "trying again at \(server)"
    }
}

/// What one process that holds many elections waits for: those that it does not hold, and those that it cannot renew.
struct Waits {
    /// The latest one last.
    private var waits: [(name: String, text: String)] = []

    mutating func take(_ event: SessionEvent, of name: String, for identity: String, at server: ServerURL) {
        switch event {
        case .waiting(let state): set(name, Waiting.turn(state, for: identity))
        case .retrying: set(name, Waiting.again(server, for: name))
        case .lost: set(name, Waiting.asking(server, for: name))
        case .elected, .extended, .released, .releaseFailed, .notWithdrawn: set(name, nil)
        case .stepDownAsked: break
        }
    }

    mutating func set(_ name: String, _ text: String?) {
        waits.removeAll { $0.name == name }
        if let text { waits.append((name, text)) }
    }

    /// The latest, and how many more there are; nil for none.
    var text: String? {
        guard let last = waits.last else { return nil }
        return waits.count == 1 ? last.text : "\(last.text) (and \(waits.count - 1) more)"
    }
}
