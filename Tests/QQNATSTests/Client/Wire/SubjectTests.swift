import Testing

@testable import QQNATS

@Suite("Subjects") struct SubjectTests {
    @Test("valid subjects can be published to", arguments: ["a", "a.b", "$KV.b.k-1_2", "_INBOX.x", "a*", "*a.b>", "ü.é"]) func publish(
        _ subject: String
    ) throws {
        try Subject.check(subject)
    }

    @Test(
        "invalid subjects are refused for publishing",
        arguments: ["", ".", "a.", ".a", "a..b", "a b", "a\t", "a\r\n", "a\u{7f}", "a\0b", "*", "a.*", "a.>", ">"])
    func noPublish(_ subject: String) {
        let error = #expect(throws: NATSError.self) { try Subject.check(subject) }
        #expect(error?.kind == .configuration)
    }

    @Test("wildcards are allowed in subscriptions") func patterns() {
        for pattern in ["*", ">", "a.*.b", "a.>", "*.>", "a"] {
            #expect(throws: Never.self) { try Subject.check(pattern, isPattern: true) }
        }
        for pattern in ["", ">.a", "a.>.b", "a..>", "a ."] {
            #expect(throws: NATSError.self) { try Subject.check(pattern, isPattern: true) }
        }
    }

    @Test(
        "subjects match patterns as on servers",
        arguments: [
            ("a", "a", true), ("a", "b", false), ("a.b", "a", false), ("a", "a.b", false), ("a.b", "a.*", true), ("a.b.c", "a.*", false),
            ("a", "a.*", false),
            ("a.b.c", "a.>", true), ("a", "a.>", false), ("a.b", ">", true), ("a.b.c", "*.b.*", true), ("a.b", "a.b*", false),
            ("a.b", "*", false),
            ("A", "a", false),
        ]) func matches(_ subject: String, _ pattern: String, _ expected: Bool)
    {
        #expect(Subject.matches(subject, pattern) == expected)
    }
}

@Suite("Unique tokens") struct NUIDTests {
    @Test("tokens have 22 letters and digits, and no two are equal") func unique() {
        let tokens = (0..<1000).map { _ in NUID.next() }
        #expect(Set(tokens).count == 1000)
        #expect(tokens.allSatisfy { $0.utf8.count == 22 && $0.utf8.allSatisfy { isLetterOrDigit($0) } })
        // Every character is used.
        #expect(Set(tokens.joined()).count == 62)
    }

    private func isLetterOrDigit(_ byte: UInt8) -> Bool {
        let character = Character(Unicode.Scalar(byte))
        return character.isASCII && (character.isLetter || character.isNumber)
    }
}
