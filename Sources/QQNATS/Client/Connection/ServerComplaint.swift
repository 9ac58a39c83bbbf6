import QQCore

/// What a server says in `-ERR`. It knows no codes, only texts (nats-server, `server/errors.go`).
struct ServerComplaint: Sendable, Hashable {
    let text: String

    init(_ text: String) { self.text = text }

    private func says(_ part: String) -> Bool { text.lowercased().contains(part) }

    /// The subject that we may not publish to, or subscribe to; nil where it is about something else. The connection lives on.
    var forbiddenPublish: String? { subject(after: "permissions violation for publish to ") }
    var forbiddenSubscription: String? { subject(after: "permissions violation for subscription to ") }

    private func subject(after phrase: String) -> String? {
        guard text.lowercased().hasPrefix(phrase) else { return nil }
        let rest = text.dropFirst(phrase.count)
        guard let open = rest.firstIndex(of: "\"") else { return nil }
        let subject = rest[rest.index(after: open)...]
        return subject.firstIndex(of: "\"").map { String(subject[..<$0]) }
    }

    /// As the end of the connection.
    var refusal: NATSError {
        let shown = Printable.text(text)
        // A server that is full or slow may have us later: "Authentication Timeout", "maximum account active connections exceeded".
        if says("timeout") || says("maximum") { return NATSError(.disconnected, "the server says: \(shown)") }
        for part in ["authorization", "authentication", "revoked", "account"] where says(part) {
            return NATSError(.denied, "the server refuses us: \(shown)")
        }
        return NATSError(.disconnected, "the server says: \(shown)")
    }
}
