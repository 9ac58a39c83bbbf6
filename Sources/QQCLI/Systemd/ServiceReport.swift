import QQCore

/// The messages of sd_notify(3) that a service manager has got, and the next one. Pure.
struct ServiceReport {
    private(set) var status: ServiceStatus
    private let sender: Notifier
    private let server: ServerURL
    private var isReleasing = false
    private var isStopping = false
    private var toldReady = false
    private var toldStopping = false
    private var toldStatus: String?

    /// - Parameters:
    ///   - names: the elections, each once.
    ///   - sender: the process that reports readiness. With `command`, the status is reported until the command starts, and nothing after that.
    init(_ names: [String], sender: Notifier, server: ServerURL) {
        status = ServiceStatus(names)
        self.sender = sender
        self.server = server
    }

    /// Takes an event of the lease session of an election.
    /// - Returns: whether there can be news. Finding out costs time in proportion to the number of elections.
    mutating func take(_ event: SessionEvent, of name: String, as identity: String, title: String, at time: WallTime) -> Bool {
        // From now on the command reports its own status.
        if sender == .command, status.hasLed { return false }
        return status.take(event, of: name, as: identity, title: title, at: time)
    }

    /// All leases are about to be released, and the process ends.
    mutating func release() {
        isReleasing = true
        isStopping = true
    }

    /// The process ends. The last status stays: a lease can be left held.
    mutating func end() { isStopping = true }

    /// The longest status, in bytes. A server's message can be of any length.
    static let longestStatus = 1024

    private var text: String {
        let text = Messages.shown(isReleasing ? status.textAtEnd : status.text(at: server))
        if text.utf8.count <= Self.longestStatus { return text }
        // A cut-off character is left out: systemd takes valid UTF-8 only.
        var end = text.utf8.index(text.startIndex, offsetBy: Self.longestStatus)
        while end.samePosition(in: text) == nil { end = text.utf8.index(before: end) }
        return String(text[..<end])
    }

    /// The message with everything that is new; nil if nothing is.
    var news: String? {
        let text = text
        var lines: [String] = []
        if sender == .qq {
            // A unit that is ready once stays so.
            if status.areAllAnswered, !toldReady, !isStopping { lines.append("READY=1") }
            if isStopping, !toldStopping { lines.append("STOPPING=1") }
        }
        if text != toldStatus, sender == .qq || !isReleasing { lines.append("STATUS=\(text)") }
        return lines.isEmpty ? nil : lines.joined(separator: "\n")
    }

    /// The service manager has got `news`.
    mutating func delivered() {
        toldStatus = text
        toldReady = toldReady || (status.areAllAnswered && !isStopping)
        toldStopping = isStopping
    }
}

/// Which process reports to systemd.
enum Notifier: String, Word { case qq, command }
