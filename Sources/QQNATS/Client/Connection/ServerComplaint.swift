import QQCore

/// The text of a server's `-ERR`, which has no error code (nats-server, `server/errors.go`).
struct ServerComplaint: Sendable, Hashable {
    let text: String

    init(_ text: String) { self.text = text }

    private func says(_ part: String) -> Bool { text.lowercased().contains(part) }

    /// Subject to which the server forbids publishing; nil if the complaint is about something else. The connection continues.
    var forbiddenPublish: String? { subject(after: "permissions violation for publish to ") }
    /// Subject to which the server forbids subscribing; nil if the complaint is about something else. The connection continues.
    var forbiddenSubscription: String? { subject(after: "permissions violation for subscription to ") }

    private func subject(after phrase: String) -> String? {
        guard text.lowercased().hasPrefix(phrase) else { return nil }
        let rest = text.dropFirst(phrase.count)
        guard let open = rest.firstIndex(of: "\"") else { return nil }
        let subject = rest[rest.index(after: open)...]
        return subject.firstIndex(of: "\"").map { String(subject[..<$0]) }
    }

    /// The error with which the connection ends.
    var refusal: NATSError {
        let shown = Printable.text(text)
        // A server that is full or slow might accept the connection later: "Authentication Timeout", "maximum account active connections exceeded".
        if says("timeout") || says("maximum") { return NATSError(.disconnected, "the server says: \(shown)") }
        for part in ["authorization", "authentication", "revoked", "account"] where says(part) {
            return NATSError(.denied, "the server refuses the login: \(shown)")
        }
        return NATSError(.disconnected, "the server says: \(shown)")
    }
}
