import QQCore

// The progress line of a command.
extension Setup {
    /// Runs `body`, and shows until it returns that the server is asked.
    func asking<Answer>(_ body: () async throws -> Answer) async rethrows -> Answer {
        guard let progress else { return try await body() }
        progress.wait(for: WaitingText.asking(server))
        defer { progress.end() }
        return try await body()
    }

    /// Shows that a campaign for the one election has begun.
    func campaignBegins() { progress?.wait(for: WaitingText.asking(server, for: name)) }

    /// Reports notices of the connection, such as how a wait is done, with `--verbose` only.
    /// - Returns: the task, to be cancelled at the end.
    func reportNotices() -> Task<Void, Never>? {
        guard messages.isVerbose else { return nil }
        let events = coordinator.connectionEvents
        return Task { for await event in events where event.kind == .notice { messages.detail(event.text) } }
    }

    /// A guarded command is about to start, which may write to the same terminal.
    func progressEnds() {
        progress?.end()
        Streams.settle()
    }

    /// Shows what the campaign waits for after an event. Once it has ended, renewals and retries in the background show nothing.
    func follow(_ event: SessionEvent) {
        guard let progress else { return }
        switch WaitingText.after(event, of: name, for: identity, at: server) {
        case .text(let text): progress.change(to: text)
        case .nothing: progress.end()
        case .unchanged: break
        }
    }
}

/// Texts of the progress line.
enum WaitingText {
    /// The change of the progress line after an event of a lease session.
    enum Shown: Equatable {
        case text(String)
        case nothing
        case unchanged
    }

    /// - Parameters:
    ///   - identity: the contender.
    ///   - campaignsAgain: whether a loss is followed by another campaign.
    static func after(
        _ event: SessionEvent, of name: String, for identity: String, at server: ServerURL, campaignsAgain: Bool = false
    ) -> Shown {
        switch event {
        case .waiting(let state): .text(turn(state, for: identity))
        case .retrying, .outage: .text(again(server, for: name))
        case .lost where campaignsAgain: .text(asking(server, for: name))
        case .elected, .extended, .lost, .released, .releaseFailed, .notWithdrawn: .nothing
        case .stepDownAsked, .outageOver: .unchanged
        }
    }

    /// `asking nats://h1:4222`
    static func asking(_ server: ServerURL, for name: String? = nil) -> String {
        (name.map { "\($0): " } ?? "") + (server.system.isOverNetwork ? "asking " : "reading ") + server.description
    }

    /// `web: held by n1, waiting for its turn`
    /// - Parameter identity: the waiter.
    static func turn(_ state: ElectionState, for identity: String) -> String {
        if !state.slots.isEmpty { return "\(state.name): \(SlotText.sentence(state, for: identity)), waiting for its turn" }
        if !state.isLed, state.cooldown != nil { return "\(state.name): free, but \(identity) stepped down and has to wait" }
        switch state.phase {
        case .held:
            let holder = state.leader ?? "a command whose lease was removed"
            let others = state.waiters.map { $0 > 1 ? ", one of \($0)" : "" } ?? ""
            return "\(state.name): held by \(holder)\(Rendering.noteInBrackets(state)), waiting for its turn\(others)"
        case .unknown: return "\(state.name): held by another contender, waiting for its turn"
        case .free, .expired: return "\(state.name): waiting for its turn"
        }
    }

    /// `web: trying again at nats://h1:4222`
    static func again(_ server: ServerURL, for name: String? = nil) -> String {
        (name.map { "\($0): " } ?? "") + "trying again at \(server)"
    }
}

/// The texts of one process that holds many elections: one for each election that it does not hold, or cannot renew.
struct WaitingTexts {
    /// The latest one last.
    private var waits: [(name: String, text: String)] = []

    mutating func take(_ event: SessionEvent, of name: String, for identity: String, at server: ServerURL) {
        switch WaitingText.after(event, of: name, for: identity, at: server, campaignsAgain: true) {
        case .text(let text): set(name, text)
        case .nothing: set(name, nil)
        case .unchanged: break
        }
    }

    mutating func set(_ name: String, _ text: String?) {
        waits.removeAll { $0.name == name }
        if let text { waits.append((name, text)) }
    }

    /// The latest text and the number of the others; nil if there is none.
    var text: String? {
        guard let last = waits.last else { return nil }
        return waits.count == 1 ? last.text : "\(last.text) (and \(waits.count - 1) more)"
    }
}
