import QQCore

/// Subjects: tokens between dots (docs.nats.io, subjects).
enum Subject {
    /// Checks that `subject` can be published or subscribed to.
    ///
    /// - Parameter isPattern: whether `*` and, at the end, `>` are allowed as tokens.
    /// - Throws: ``NATSError`` of kind `configuration` for empty tokens, white space, control characters and misplaced wildcards.
    static func check(_ subject: String, isPattern: Bool = false) throws(NATSError) {
        guard subject.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else { throw invalid(subject, "has white space or control characters") }
        let tokens = tokens(of: subject)
        for (index, token) in tokens.enumerated() {
            if token.isEmpty { throw invalid(subject, subject.isEmpty ? "is empty" : "has an empty part between dots") }
            if isWildcard(token), !isPattern { throw invalid(subject, "has a wildcard") }
            if isTail(token), index < tokens.count - 1 { throw invalid(subject, "has a \">\" that is not its end") }
        }
    }

    /// Whether a message on `subject` reaches a subscription to `pattern`.
    static func matches(_ subject: String, _ pattern: String) -> Bool {
        let tokens = tokens(of: subject)
        let wanted = Self.tokens(of: pattern)
        for (index, token) in wanted.enumerated() {
            guard index < tokens.count else { return false }
            if isTail(token), index == wanted.count - 1 { return true }
            if !isStar(token), !token.elementsEqual(tokens[index]) { return false }
        }
        return tokens.count == wanted.count
    }

    private static func tokens(of subject: String) -> [Substring.UTF8View] {
        subject[...].utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    }

    private static func isWildcard(_ token: Substring.UTF8View) -> Bool { isStar(token) || isTail(token) }
    private static func isStar(_ token: Substring.UTF8View) -> Bool { token.elementsEqual("*".utf8) }
    private static func isTail(_ token: Substring.UTF8View) -> Bool { token.elementsEqual(">".utf8) }

    private static func invalid(_ subject: String, _ reason: String) -> NATSError {
        NATSError(.configuration, "the subject \"\(Printable.text(subject))\" \(reason)")
    }
}
